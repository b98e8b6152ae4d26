#include "bench/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/kafka.h"
#include "common/loop.h"

enum { TEXT_MAX = 1 << 17, CONTENT_HEAD = 56, IDLE_US = 5000, GROUP_NAME_MAX = 72, WARM_RECORDS = 64 };

struct producer {
    const struct plan *plan;
    struct loop *loop;
    struct loop_task nothing;
    struct kafka_producer *kafka;
    uint64_t behind_us;
    uint64_t warm;
    char *text, *pad;
};

static void do_nothing(void *arg)
{
    (void)arg;
}

/* Takes what librdkafka has to tell, without waiting for it. */
static void turn(struct producer *producer)
{
    loop_defer(producer->loop, &producer->nothing);
    loop_turn(producer->loop);
}

static void on_warm(void *arg, enum err err)
{
    struct producer *producer = arg;
    CHECK(err == ERR_OK);
    producer->warm++;
}

static void warm_up(struct producer *producer)
{
    static const char text[] = "{\"to\":{\"user\":\"nobody\"},\"class\":\"volatile\",\"content\":0}";
    for (int i = 0; i < WARM_RECORDS; i++) { /* so many keys touch every partition */
        char key[16];
        int len = snprintf(key, sizeof key, "warm%d", i);
        CHECK(kafka_produce(producer->kafka, producer->plan->topic, key, (size_t)len, text, sizeof text - 1, NULL, 0,
                            on_warm, producer) == ERR_OK);
    }
    while (producer->warm < WARM_RECORDS) {
        turn(producer);
        usleep(100);
    }
}

struct producer *producer_new(const struct plan *plan)
{
    struct producer *producer = xcalloc(1, sizeof *producer);
    producer->plan = plan;
    producer->loop = loop_new();
    loop_task_init(&producer->nothing, do_nothing, NULL);
    producer->text = xmalloc(TEXT_MAX);
    producer->pad = xmalloc(TEXT_MAX);
    memset(producer->pad, 'x', TEXT_MAX);
    char linger[32];
    snprintf(linger, sizeof linger, "linger.ms=%lu", (unsigned long)plan->linger_ms);
    char *properties[] = {linger};
    struct kafka_options options = {.brokers = (char *)plan->brokers, .properties = {properties, 1}};
    CHECK(kafka_producer_new(producer->loop, &options, &producer->kafka) == ERR_OK);
    warm_up(producer);
    return producer;
}

/* The target and the key of push i; the key is what keeps a target's pushes in one partition. */
static size_t put_to(const struct producer *producer, const struct stream *stream, uint64_t i, char *key,
                     size_t key_size)
{
    const struct plan *plan = producer->plan;
    uint32_t turn_index = (uint32_t)(i % stream_turns(stream, plan->connections));
    char *text = producer->text;
    if (stream->to == STREAM_TO_ALL) {
        snprintf(key, key_size, "%sall", plan->prefix);
        return (size_t)snprintf(text, TEXT_MAX, "{\"to\":{\"all\":true}");
    }
    if (stream->to == STREAM_TO_USER) {
        snprintf(key, key_size, "%s%u", plan->prefix, turn_index);
        return (size_t)snprintf(text, TEXT_MAX, "{\"to\":{\"user\":\"%s\"}", key);
    }
    snprintf(key, key_size, "%sgroup%u", plan->prefix, turn_index);
    size_t len = (size_t)snprintf(text, TEXT_MAX, "{\"to\":{\"users\":[");
    for (uint32_t k = 0; k < stream->group; k++) {
        CHECK(len + GROUP_NAME_MAX < TEXT_MAX);
        len += (size_t)snprintf(text + len, TEXT_MAX - len, "%s\"%s%u\"", k > 0 ? "," : "", plan->prefix,
                                turn_index * stream->group + k);
    }
    return len + (size_t)snprintf(text + len, TEXT_MAX - len, "]}");
}

static enum err produce(struct producer *producer, const struct due *due)
{
    const struct stream *stream = &producer->plan->streams[due->stream];
    uint64_t number = due->i / stream_turns(stream, producer->plan->connections);
    char key[96];
    size_t len = put_to(producer, stream, due->i, key, sizeof key);
    int pad = stream->size > CONTENT_HEAD ? (int)(stream->size - CONTENT_HEAD) : 0;
    len += (size_t)snprintf(producer->text + len, TEXT_MAX - len,
                            ",\"class\":\"%s\"%s%s,\"content\":{\"s\":%zu,\"n\":%lu,\"t\":%lu,\"p\":\"%.*s\"}}",
                            stream->is_durable ? "durable" : "volatile", stream->fields ? "," : "",
                            stream->fields ? stream->fields : "", due->stream, (unsigned long)number,
                            (unsigned long)due->at_us, pad, producer->pad);
    CHECK(len < TEXT_MAX);
    return kafka_produce(producer->kafka, producer->plan->topic, key, strlen(key), producer->text, len, NULL, 0, NULL,
                         NULL);
}

uint64_t producer_turn(struct producer *producer, struct schedule *schedule, uint64_t now_us)
{
    struct due due;
    uint64_t wait_us = IDLE_US;
    while (schedule_next(schedule, &due)) {
        if (due.at_us > now_us) {
            wait_us = due.at_us - now_us;
            break;
        }
        enum err err = produce(producer, &due);
        if (err != ERR_OK) {
            wait_us = 0;
            break;
        }
        if (now_us - due.at_us > producer->behind_us)
            producer->behind_us = now_us - due.at_us;
        schedule_sent(schedule, &due);
    }
    turn(producer);
    return wait_us;
}

uint64_t producer_behind_us(struct producer *producer)
{
    uint64_t behind_us = producer->behind_us;
    producer->behind_us = 0;
    return behind_us;
}

void producer_free(struct producer **producer)
{
    struct producer *p = *producer;
    *producer = NULL;
    kafka_producer_free(&p->kafka, 1000);
    loop_free(&p->loop);
    free(p->text);
    free(p->pad);
    free(p);
}
