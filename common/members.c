#include "members.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "lease.h"
#include "list.h"
#include "log.h"
#include "memory.h"
#include "table.h"

enum {
    MAGIC = 0x4d454d42,
    POLL_MS = 1000,
    FIRST_POLL_MS = 100,  /* until the first answer */
    VALUE_MAX = 64 << 20, /* bytes of a snapshot that is looked at */
    INSTANCES_MAX = 100000
};

struct seat {
    struct member member; /* first: what others hold is a pointer to it */
    uint64_t version;     /* of the last snapshot that had it */
    struct list link;     /* while it is on its way out */
};

struct members {
    uint32_t magic;
    struct redis *commands, *channel;
    struct members_events events;
    void *arg;
    struct loop_timer *timer;
    struct table *seats;
    uint64_t version;
    bool is_reading, is_again; /* a GET is under way; another is wanted behind it */
    bool has_answer, is_freed;
};

static void read_now(struct members *m);

/* --- the table ---------------------------------------------------------------------------------------------------- */

static bool seat_match(const void *item, const void *key, size_t key_len)
{
    const struct seat *seat = item;
    return strlen(seat->member.instance) == key_len && !memcmp(seat->member.instance, key, key_len);
}

static void seat_free(struct seat *seat)
{
    free(seat->member.instance);
    free(seat->member.endpoint);
    free(seat);
}

static struct seat *seat_find(const struct members *m, const char *instance)
{
    return table_find(m->seats, instance, strlen(instance));
}

static bool is_same_life(const struct seat *seat, const Herald__V1__Lease *lease)
{
    return seat->member.generation == lease->generation && seat->member.role == lease->role &&
           !strcmp(seat->member.endpoint, lease->endpoint);
}

/* Out of the view first, then told: in gone() a look-up no longer finds it. */
static void dismiss_absent(struct members *m, uint64_t version)
{
    struct list absent;
    list_init(&absent);
    size_t cursor = 0;
    for (struct seat *seat; (seat = table_next(m->seats, &cursor));)
        if (seat->version != version)
            list_push(&absent, &seat->link);
    list_each (it, &absent) {
        struct seat *seat = container_of(it, struct seat, link);
        table_remove(m->seats, seat->member.instance, strlen(seat->member.instance));
    }
    for (struct list *it; (it = list_pop(&absent));) {
        struct seat *seat = container_of(it, struct seat, link);
        if (m->events.gone)
            m->events.gone(m->arg, &seat->member);
        seat_free(seat);
    }
}

static void seat_new(struct members *m, const Herald__V1__Lease *lease, uint64_t version)
{
    struct seat *seat = xcalloc(1, sizeof *seat);
    seat->member.instance = xstrdup(lease->instance);
    seat->member.endpoint = xstrdup(lease->endpoint);
    seat->member.generation = lease->generation;
    seat->member.role = lease->role;
    seat->version = version;
    list_init(&seat->link);
    table_add(m->seats, lease->instance, strlen(lease->instance), seat);
    if (m->events.joined)
        m->events.joined(m->arg, &seat->member);
}

/* First all that is gone, then all that is new, so that a restart is seen as both, in that order. */
static void apply(struct members *m, const Herald__V1__Members *snapshot, uint64_t version)
{
    for (size_t i = 0; i < snapshot->n_leases; i++) {
        struct seat *seat = seat_find(m, snapshot->leases[i]->instance);
        if (seat && is_same_life(seat, snapshot->leases[i]))
            seat->version = version;
    }
    m->version = version;
    dismiss_absent(m, version);
    for (size_t i = 0; i < snapshot->n_leases; i++)
        if (!seat_find(m, snapshot->leases[i]->instance))
            seat_new(m, snapshot->leases[i], version);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

enum err members_parse(ProtobufCAllocator *allocator, const char *value, size_t len, Herald__V1__Members **members_r)
{
    uint64_t version;
    size_t head;
    *members_r = NULL;
    enum err err = lease_number(value, len, &version, &head);
    if (err != ERR_OK)
        return err;
    if (len > VALUE_MAX)
        return ERR_TOO_LARGE;
    if (!allocator)
        allocator = memory_protobuf();
    Herald__V1__Members *snapshot = herald__v1__members__unpack(allocator, len - head, (const uint8_t *)value + head);
    if (!snapshot)
        return ERR_INVALID;
    snapshot->version = version;
    *members_r = snapshot;
    return ERR_OK;
}

static void take(struct members *m, const char *value, size_t len)
{
    uint64_t version;
    size_t head;
    Herald__V1__Members *snapshot = NULL;
    enum err err = lease_number(value, len, &version, &head);
    if (err == ERR_OK && version <= m->version)
        return; /* nothing new: not even unpacked */
    if (err == ERR_OK)
        err = members_parse(NULL, value, len, &snapshot);
    if (err == ERR_OK && snapshot->n_leases > INSTANCES_MAX)
        err = ERR_TOO_LARGE;
    if (err == ERR_OK)
        apply(m, snapshot, version);
    else
        log_limited(LOG_ERROR, "membership snapshot not understood, the last one stands", F_ERR(err));
    if (snapshot)
        herald__v1__members__free_unpacked(snapshot, NULL);
}

static void destroy(struct members *m)
{
    m->magic = 0;
    free(m);
}

static void on_value(void *arg, enum err err, const struct redis_reply *reply)
{
    struct members *m = arg;
    MAGIC_CHECK(m, MAGIC);
    m->is_reading = false;
    if (m->is_freed) {
        destroy(m);
        return;
    }
    if (err == ERR_OK) {
        m->has_answer = true;
        size_t len;
        const char *value = redis_reply_str(reply, &len);
        if (redis_reply_kind(reply) == REDIS_STRING)
            take(m, value, len); /* else nobody has published (yet, or since a flush): the last one stands */
    }
    if (m->is_again)
        read_now(m);
}

static void read_now(struct members *m)
{
    m->is_again = m->is_reading;
    if (!m->is_reading)
        m->is_reading = redis_words(m->commands, on_value, m, "GET", "herald:members", NULL) == ERR_OK;
}

static void on_timer(void *arg)
{
    struct members *m = arg;
    MAGIC_CHECK(m, MAGIC);
    loop_timer_start(m->timer, m->has_answer ? POLL_MS : FIRST_POLL_MS, 0);
    if (!m->is_reading)
        read_now(m);
}

static void on_message(void *arg, const char *channel, const char *payload, size_t len)
{
    (void)channel, (void)payload, (void)len;
    struct members *m = arg;
    MAGIC_CHECK(m, MAGIC);
    read_now(m);
}

static void on_channel_state(void *arg, bool is_up)
{
    struct members *m = arg;
    MAGIC_CHECK(m, MAGIC);
    if (is_up)
        read_now(m); /* what was published while nobody listened */
}

/* --- for the users ------------------------------------------------------------------------------------------------ */

struct members *members_new(struct loop *loop, struct redis *commands, const struct redis_options *options,
                            const struct members_events *events, void *arg)
{
    struct members *m = xcalloc(1, sizeof *m);
    m->magic = MAGIC;
    m->commands = commands;
    m->events = *events;
    m->arg = arg;
    m->seats = table_new(seat_match);
    m->timer = loop_timer_new(loop, on_timer, m);
    loop_timer_start(m->timer, 0, 0);
    m->channel = redis_new(loop, options, "membership", on_channel_state, m);
    redis_subscribe(m->channel, "herald:membership", on_message, m);
    return m;
}

void members_free(struct members **members)
{
    struct members *m = *members;
    *members = NULL;
    if (!m)
        return;
    redis_free(&m->channel);
    loop_timer_free(&m->timer);
    size_t cursor = 0;
    for (struct seat *seat; (seat = table_next(m->seats, &cursor));)
        seat_free(seat);
    table_free(&m->seats);
    m->is_freed = true;
    if (!m->is_reading)
        destroy(m);
}

uint64_t members_version(const struct members *members)
{
    return members->version;
}

struct member *members_find(const struct members *members, const char *instance, size_t len)
{
    struct seat *seat = table_find(members->seats, instance, len);
    return seat ? &seat->member : NULL;
}

struct member *members_next(const struct members *members, size_t *cursor)
{
    struct seat *seat = table_next(members->seats, cursor);
    return seat ? &seat->member : NULL;
}
