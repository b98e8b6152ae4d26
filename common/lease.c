#include "lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "log.h"
#include "memory.h"
#include "redis_script.h"

enum { MAGIC = 0x4c454153, KEY_BYTES = 256, DIGITS_MAX = 20 };
enum { REPLY_REFUSED, REPLY_RENEWED, REPLY_WAS_NOT_THERE }; /* lease_renew.lua */

struct lease {
    uint32_t magic;
    struct loop *loop;
    struct redis *redis;
    Herald__V1__Lease *body;
    char key[KEY_BYTES], generation[DIGITS_MAX + 1], ttl[DIGITS_MAX + 1];
    lease_fill_fn *fill;
    lease_lost_fn *lost;
    lease_vanished_fn *vanished;
    void *arg;
    struct loop_timer *timer;
    uint64_t renewed_ms;
    uint64_t cpu_us, cpu_at_ms; /* this process' time, when it was looked at last */
    uint32_t under_way;         /* renewals: each holds a pointer to this */
    bool is_lost, is_freed;
    struct buf packed;
};

/* --- the value in Redis ------------------------------------------------------------------------------------------- */

static void pack_body(const Herald__V1__Lease *body, struct buf *out)
{
    size_t len = herald__v1__lease__get_packed_size(body);
    herald__v1__lease__pack(body, (uint8_t *)buf_reserve(out, len));
    out->len += len;
    out->bytes[out->len] = '\0';
}

void lease_pack(const Herald__V1__Lease *body, struct buf *out)
{
    buf_add_uint(out, body->generation);
    buf_add_char(out, '\n');
    pack_body(body, out);
}

enum err lease_parse(ProtobufCAllocator *allocator, const char *value, size_t len, Herald__V1__Lease **lease_r)
{
    uint64_t generation;
    size_t head;
    *lease_r = NULL;
    enum err err = lease_number(value, len, &generation, &head);
    if (err != ERR_OK)
        return err;
    if (!allocator)
        allocator = memory_protobuf();
    Herald__V1__Lease *body = herald__v1__lease__unpack(allocator, len - head, (const uint8_t *)value + head);
    if (!body)
        return ERR_INVALID;
    body->generation = generation;
    *lease_r = body;
    return ERR_OK;
}

enum err lease_number(const char *value, size_t len, uint64_t *number_r, size_t *head_r)
{
    uint64_t number = 0;
    size_t i = 0;
    for (; i < len && value[i] >= '0' && value[i] <= '9'; i++) {
        unsigned digit = (unsigned)(value[i] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return ERR_INVALID;
        number = number * 10 + digit;
    }
    if (!i || i == len || value[i] != '\n')
        return ERR_INVALID;
    *number_r = number;
    *head_r = i + 1;
    return ERR_OK;
}

/* --- renewing ----------------------------------------------------------------------------------------------------- */

static void destroy(struct lease *lease)
{
    lease->magic = 0;
    herald__v1__lease__free_unpacked(lease->body, NULL);
    buf_release(&lease->packed);
    free(lease);
}

static void confirmed(struct lease *lease, bool was_not_there)
{
    bool has_vanished = was_not_there && lease->renewed_ms > 0;
    lease->renewed_ms = loop_wall_ms(lease->loop);
    if (!has_vanished)
        return;
    log_warn("the lease had vanished from redis", F_STR("instance", lease->body->instance));
    if (lease->vanished)
        lease->vanished(lease->arg);
}

static void renewed(void *arg, enum err err, const struct redis_reply *reply)
{
    struct lease *lease = arg;
    MAGIC_CHECK(lease, MAGIC);
    lease->under_way--;
    if (lease->is_freed) {
        if (!lease->under_way)
            destroy(lease);
        return;
    }
    if (err != ERR_OK || lease->is_lost)
        return; /* the next one may get through; redis.c has logged it */
    int64_t answer = redis_reply_int(reply);
    if (answer != REPLY_REFUSED) {
        confirmed(lease, answer == REPLY_WAS_NOT_THERE);
        return;
    }
    lease->is_lost = true;
    loop_timer_stop(lease->timer);
    log_error("lease lost to a higher generation", F_STR("instance", lease->body->instance),
              F_UINT("generation", lease->body->generation));
    if (lease->lost)
        lease->lost(lease->arg);
}

static uint64_t cpu_us(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static uint32_t load_permille(struct lease *lease)
{
    uint64_t now_ms = loop_now_ms(lease->loop), passed_ms = now_ms - lease->cpu_at_ms;
    uint64_t now_us = cpu_us(), used_us = now_us - lease->cpu_us;
    lease->cpu_at_ms = now_ms;
    lease->cpu_us = now_us;
    return passed_ms > 0 ? (uint32_t)(used_us / passed_ms) : 0;
}

void lease_renew(struct lease *lease)
{
    if (lease->is_lost || !redis_is_up(lease->redis))
        return;
    lease->body->beat++;
    lease->body->load_permille = load_permille(lease);
    if (lease->fill)
        lease->fill(lease->arg, lease->body);
    buf_clear(&lease->packed);
    pack_body(lease->body, &lease->packed);
    const char *argv[] = {lease->key,        "herald:instances",  lease->body->instance,
                          lease->generation, lease->packed.bytes, lease->ttl};
    size_t lens[] = {strlen(lease->key),        strlen("herald:instances"), strlen(lease->body->instance),
                     strlen(lease->generation), lease->packed.len,          strlen(lease->ttl)};
    if (redis_script(lease->redis, REDIS_SCRIPT_LEASE_RENEW, renewed, lease, 2, 6, argv, lens) == ERR_OK)
        lease->under_way++;
}

static void on_timer(void *arg)
{
    struct lease *lease = arg;
    MAGIC_CHECK(lease, MAGIC);
    /* Until the first one, look often whether Redis is up by now. */
    loop_timer_start(lease->timer, lease->renewed_ms ? LEASE_RENEW_MS : LEASE_RENEW_MS / 10, 0);
    lease_renew(lease);
}

static Herald__V1__Lease *copy_body(const Herald__V1__Lease *body)
{
    struct buf packed;
    buf_init(&packed);
    pack_body(body, &packed);
    Herald__V1__Lease *copy = herald__v1__lease__unpack(memory_protobuf(), packed.len, (const uint8_t *)packed.bytes);
    CHECK(copy != NULL);
    buf_release(&packed);
    return copy;
}

struct lease *lease_new(struct loop *loop, struct redis *redis, const Herald__V1__Lease *body, lease_fill_fn *fill,
                        lease_lost_fn *lost, void *arg)
{
    struct lease *lease = xcalloc(1, sizeof *lease);
    lease->magic = MAGIC;
    lease->loop = loop;
    lease->redis = redis;
    lease->body = copy_body(body);
    lease->fill = fill;
    lease->lost = lost;
    lease->arg = arg;
    lease->cpu_us = cpu_us();
    lease->cpu_at_ms = loop_now_ms(loop);
    buf_init(&lease->packed);
    int len = snprintf(lease->key, sizeof lease->key, "herald:lease:%s", body->instance);
    CHECK(len > 0 && (size_t)len < sizeof lease->key);
    snprintf(lease->generation, sizeof lease->generation, "%llu", (unsigned long long)body->generation);
    snprintf(lease->ttl, sizeof lease->ttl, "%d", LEASE_TTL_MS);
    lease->timer = loop_timer_new(loop, on_timer, lease);
    loop_timer_start(lease->timer, 0, 0);
    return lease;
}

void lease_on_vanished(struct lease *lease, lease_vanished_fn *vanished)
{
    lease->vanished = vanished;
}

uint64_t lease_renewed_ms(const struct lease *lease)
{
    return lease->renewed_ms;
}

void lease_free(struct lease **lease)
{
    struct lease *l = *lease;
    *lease = NULL;
    if (!l)
        return;
    loop_timer_free(&l->timer);
    const char *argv[] = {l->key, "herald:instances", l->body->instance, l->generation};
    /* A lost one is refused by the script; without Redis the lease runs out by itself. */
    (void)!redis_script(l->redis, REDIS_SCRIPT_LEASE_RELEASE, NULL, NULL, 2, 4, argv, NULL);
    l->is_freed = true;
    if (!l->under_way)
        destroy(l);
}
