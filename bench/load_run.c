#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/load.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/kafka.h"
#include "common/loop.h"

enum { DRAIN_MS = 15000, TICK_US = 100, IDLE_US = 5000 };

void load_latency_add(struct load *load, uint64_t us)
{
    size_t i = us < 2 ? 0 : (size_t)(log2((double)us) * 64);
    load->latency[i < 4095 ? i : 4095]++;
}

uint64_t load_latency_at(const struct load *load, double quantile)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < 4096; i++)
        total += load->latency[i];
    for (size_t i = 0; i < 4096; i++) {
        seen += load->latency[i];
        if (total > 0 && (double)seen >= quantile * (double)total)
            return (uint64_t)exp2((double)(i + 1) / 64);
    }
    return 0;
}

static int record_text(const struct load_plan *plan, uint64_t i, uint64_t due_us, char *text, size_t size)
{
    static char pad[4096];
    if (!pad[0])
        memset(pad, 'x', sizeof(pad) - 1);
    char to[96];
    if (plan->is_all)
        snprintf(to, sizeof(to), "{\"all\":true}");
    else
        snprintf(to, sizeof(to), "{\"user\":\"%s%lu\"}", plan->prefix, (unsigned long)(i % plan->connections));
    uint64_t n = plan->is_all ? i : i / plan->connections;
    int fill = plan->size > 50 ? (int)plan->size - 50 : 0;
    return snprintf(text, size, "{\"to\":%s,\"class\":\"%s\",\"content\":{\"n\":%lu,\"t\":%lu,\"p\":\"%.*s\"}}", to,
                    plan->is_durable ? "durable" : "volatile", (unsigned long)n, (unsigned long)due_us, fill, pad);
}

/* Produces what is due; false when the local queue is full. */
static bool produce_one(struct kafka_producer *producer, const struct load_plan *plan, uint64_t i, uint64_t due_us)
{
    char text[8192], key[64];
    int len = record_text(plan, i, due_us, text, sizeof(text));
    int key_len = snprintf(key, sizeof(key), "%s%lu", plan->prefix,
                           plan->is_all ? 0 : (unsigned long)(i % plan->connections));
    return kafka_produce(producer, "herald.push", key, (size_t)key_len, text, (size_t)len, NULL, 0, NULL, NULL) ==
           ERR_OK;
}

/* Takes what the producer has to tell, without waiting for it. */
static void turn(struct loop *loop, struct loop_task *nothing)
{
    loop_defer(loop, nothing);
    loop_turn(loop);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void on_warm(void *arg, enum err err)
{
    CHECK(err == ERR_OK);
    *(bool *)arg = true;
}

/* A producer's first record waits for metadata, connection and producer id, which is no part of a delivery's latency.
 */
static void warm_up(struct load *load, struct loop *loop, struct loop_task *nothing, struct kafka_producer *producer)
{
    static const char text[] = "{\"to\":{\"user\":\"nobody\"},\"class\":\"volatile\",\"content\":0}";
    enum { PARTITIONS_TOUCHED = 64 };
    bool is_warm[PARTITIONS_TOUCHED] = {false};
    for (int i = 0; i < PARTITIONS_TOUCHED; i++) {
        char key[16];
        int len = snprintf(key, sizeof(key), "warm%d", i);
        CHECK(kafka_produce(producer, "herald.push", key, (size_t)len, text, sizeof(text) - 1, NULL, 0, on_warm,
                            &is_warm[i]) == ERR_OK);
    }
    for (int i = 0; i < PARTITIONS_TOUCHED; i++)
        while (!is_warm[i]) {
            load_poll(load, 100);
            turn(loop, nothing);
        }
}

static struct kafka_producer *producer_of(const struct load_plan *plan, struct loop *loop)
{
    char linger[32];
    snprintf(linger, sizeof(linger), "linger.ms=%lu", (unsigned long)plan->linger_ms);
    char *properties[] = {linger};
    struct kafka_options options = {.brokers = (char *)plan->brokers, .properties = {properties, 1}};
    struct kafka_producer *producer;
    CHECK(kafka_producer_new(loop, &options, &producer) == ERR_OK);
    return producer;
}

/* Produces all that is due now; returns how long nothing will be, at least TICK_US: a client that spins would take the
 * core from the broker, whose latency would then be measured. What is sent late for that counts as late. */
static uint64_t produce_due(struct load *load, struct kafka_producer *producer, uint64_t total, uint64_t *sent)
{
    uint64_t now = clock_wall_us(), due = now;
    while (*sent < total) {
        due = load->first_us + (uint64_t)((double)*sent * 1e6 / (double)load->plan.rate);
        if (due > now || !produce_one(producer, &load->plan, *sent, due))
            break;
        ++*sent;
    }
    if (*sent == total)
        return IDLE_US;
    return due > now + TICK_US ? due - now : TICK_US;
}

static void read_raw(struct load *load)
{
    uint64_t end = clock_mono_ms() + load->plan.seconds * 1000;
    while (clock_mono_ms() < end && load->closed == 0)
        load_poll(load, 20000);
}

void load_run(struct load *load)
{
    if (load->plan.raw_port != 0) {
        read_raw(load);
        return;
    }
    struct loop *loop = loop_new();
    struct loop_task nothing;
    loop_task_init(&nothing, do_nothing, NULL);
    struct kafka_producer *producer = producer_of(&load->plan, loop);
    warm_up(load, loop, &nothing, producer);
    uint64_t total = load->plan.rate * load->plan.seconds, sent = 0;
    uint64_t expected = load->plan.is_all ? total * load->plan.connections : total;
    load->first_us = clock_wall_us() + 200000;
    uint64_t end = load->first_us + load->plan.seconds * 1000000 + DRAIN_MS * 1000;
    while (load->received + load->repeated < expected && clock_wall_us() < end) {
        load_poll(load, produce_due(load, producer, total, &sent));
        turn(loop, &nothing);
    }
    kafka_producer_free(&producer, 1000);
    load->lost += expected > load->received + load->lost ? expected - load->received - load->lost : 0;
}

void load_hold(struct load *load)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&input, 1, 0) == 0 && load->closed == 0)
        load_poll(load, 100000);
}

bool load_report(const struct load *load)
{
    double seconds = load->last_us > load->first_us ? (double)(load->last_us - load->first_us) / 1e6 : 0;
    printf("{\"connections\": %u, \"received\": %lu, \"lost\": %lu, \"repeated\": %lu, \"closed\": %lu, "
           "\"seconds\": %.3f, \"p50_us\": %lu, \"p95_us\": %lu, \"p99_us\": %lu, \"max_us\": %lu}\n",
           load->up, (unsigned long)load->received, (unsigned long)load->lost, (unsigned long)load->repeated,
           (unsigned long)load->closed, seconds, (unsigned long)load_latency_at(load, 0.5),
           (unsigned long)load_latency_at(load, 0.95), (unsigned long)load_latency_at(load, 0.99),
           (unsigned long)load_latency_at(load, 1.0));
    fflush(stdout);
    return load->lost == 0 && load->repeated == 0 && (load->closed == 0 || load->plan.raw_port);
}
