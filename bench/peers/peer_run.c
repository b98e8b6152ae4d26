#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peers/peer.h"
#include "common/check.h"
#include "common/clock.h"

enum {
    FRAME_BYTES = 128,
    CONTENT_MAX = 512,
    DRAIN_MS = 60000, /* slow is not lost */
    WARM_MS = 60000,
    WARM_EVERY_MS = 300,
    TICK_US = 100,
    IDLE_US = 5000
};
#define RUN_STEP UINT64_C(10000000)

/* --- messages --- */

/* {"n":<run and number>,"t":<when it was due>,"p":"xxx"}; of equal length within a run. */
static void write_content(const struct peer *peer, uint64_t number, uint64_t due_us, char content_r[CONTENT_MAX])
{
    static const char pad[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxx";
    int len = snprintf(content_r, CONTENT_MAX, "{\"n\":%lu,\"t\":%lu,\"p\":\"%.*s\"}",
                       (unsigned long)(peer->run * RUN_STEP + number), (unsigned long)due_us, (int)peer->pad, pad);
    CHECK(len > 0 && len < CONTENT_MAX && peer->pad < sizeof(pad));
}

static bool find_number(const char *text, size_t len, const char *name, uint64_t *value_r)
{
    const char *at = memmem(text, len, name, strlen(name));
    if (!at)
        return false;
    *value_r = strtoull(at + strlen(name), NULL, 10);
    return true;
}

void peer_take(struct peer *peer, struct peer_conn *conn, const char *text, size_t len, size_t frame_len)
{
    uint64_t n, due_us, now_us = clock_wall_us();
    if (!find_number(text, len, "\"n\":", &n) || !find_number(text, len, "\"t\":", &due_us))
        return;
    if (n / RUN_STEP != peer->run)
        return; /* a straggler of an earlier run */
    uint32_t missed = 0;
    enum order_verdict verdict = order_take(&conn->order, (uint32_t)(n % RUN_STEP), &missed);
    peer->repeated += verdict == ORDER_REPEATED;
    peer->late += verdict == ORDER_LATE;
    peer->lost += verdict == ORDER_GAP ? missed : 0;
    peer->received++;
    peer->frame_bytes += frame_len;
    peer->padded = frame_len + 1;
    hist_add(&peer->latency, now_us > due_us ? now_us - due_us : 0);
}

static void begin_run(struct peer *peer)
{
    peer->run++;
    peer->received = peer->frame_bytes = peer->lost = peer->late = peer->repeated = 0;
    peer->latency = (struct hist){0};
    for (uint32_t i = 0; i < peer->opened; i++)
        peer->conns[i].order = (struct order){0};
}

/* --- runs --- */

bool peer_warm(struct peer *peer, bool is_all)
{
    uint64_t until_ms = clock_mono_ms() + WARM_MS, next_ms = 0, number = 0;
    uint32_t user = peer->opened - 1;
    char content[CONTENT_MAX];
    begin_run(peer);
    peer->pad = 0;
    while (peer->received == 0) {
        if (clock_mono_ms() > until_ms || peer->closed) {
            fprintf(stderr, "herald-peer-load: nothing comes through\n");
            return false;
        }
        if (clock_mono_ms() >= next_ms) {
            write_content(peer, number++, clock_wall_us(), content);
            (void)publisher_send(peer->publisher, is_all, user, content);
            next_ms = clock_mono_ms() + WARM_EVERY_MS;
        }
        publisher_turn(peer->publisher);
        peer_poll(peer, 1000);
    }
    /* a payload of more than 125 bytes has two bytes more of head */
    uint64_t bare = peer->padded - 1, room = FRAME_BYTES - 1;
    peer->pad = bare < room ? (uint32_t)(room - bare) : 0;
    return true;
}

static uint64_t publish_due(struct peer *peer, bool is_all, uint64_t first_us, uint64_t rate, uint64_t total,
                            uint64_t *sent)
{
    uint64_t now_us = clock_wall_us(), due_us = now_us;
    char content[CONTENT_MAX];
    while (*sent < total) {
        due_us = first_us + (uint64_t)((double)*sent * 1e6 / (double)rate);
        if (due_us > now_us)
            break;
        write_content(peer, is_all ? *sent : *sent / peer->opened, due_us, content);
        if (!publisher_send(peer->publisher, is_all, (uint32_t)(*sent % peer->opened), content))
            break;
        ++*sent;
    }
    if (*sent == total)
        return IDLE_US;
    return due_us > now_us + TICK_US ? due_us - now_us : TICK_US;
}

void peer_run(struct peer *peer, bool is_all, uint64_t rate, uint64_t seconds)
{
    begin_run(peer);
    uint64_t total = rate * seconds, sent = 0, expected = is_all ? total * peer->opened : total;
    uint64_t first_us = clock_wall_us() + 100000, until_us = first_us + seconds * 1000000 + DRAIN_MS * 1000;
    while (peer->received + peer->repeated < expected && clock_wall_us() < until_us && !peer->closed) {
        peer_poll(peer, publish_due(peer, is_all, first_us, rate, total, &sent));
        publisher_turn(peer->publisher);
    }
    double took = (double)(clock_wall_us() - first_us) / 1e6;
    if (expected > peer->received + peer->lost)
        peer->lost += expected - peer->received - peer->lost;
    printf("{\"expected\": %lu, \"received\": %lu, \"lost\": %lu, \"late\": %lu, \"repeated\": %lu, \"closed\": %lu, "
           "\"seconds\": %.3f, \"frame_bytes\": %.1f, \"p50_us\": %lu, \"p99_us\": %lu}\n",
           (unsigned long)expected, (unsigned long)peer->received, (unsigned long)peer->lost, (unsigned long)peer->late,
           (unsigned long)peer->repeated, (unsigned long)peer->closed, took,
           peer->received ? (double)peer->frame_bytes / (double)peer->received : 0,
           (unsigned long)hist_at(&peer->latency, 0.5), (unsigned long)hist_at(&peer->latency, 0.99));
}
