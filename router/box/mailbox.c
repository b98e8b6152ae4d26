#include "router/box/mailbox.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/metric.h"
#include "common/redis_script.h"
#include "common/slab.h"
#include "router/record/delivery.h"
#include "router/flow/entry.h"
#include "router/metrics.h"
#include "router/route/route.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEYS = 3, /* and a fourth when a message has a collapse key */
    LIMITS = 5,
    EACH = 5,
    ARGS_MAX = KEYS + 1 + LIMITS + (EACH + 1) * MAILBOX_RUN_MAX,
    POKED_MAX = 16
};

struct mailbox {
    struct redis *redis;
    struct lanes *lanes;
    struct mailbox_settings settings;
    mailbox_left_fn *on_left;
    void *arg;
    struct slab *calls;
    /* the run that is being put together */
    struct push_str user, device;
    Herald__V1__Priority priority; /* of all of the run: it comes from one flow */
    uint32_t count;
    bool has_collapse;
    struct buf packed;
    struct {
        const char *source; /* its partition: "topic/partition" */
        size_t source_len, packed_at, packed_len;
        char life[24], generation[16], offset[24];
        struct push_str collapse; /* of the record */
    } items[MAILBOX_RUN_MAX];
};

struct call {
    struct mailbox *mailbox;
    mailbox_fn *fn;
    void *arg;
    char user[PUSH_USER_MAX + 1], device[PUSH_DEVICE_MAX + 1];
    uint32_t user_len, device_len;
    uint32_t count;
};

struct mailbox *mailbox_new(struct redis *redis, struct lanes *lanes, const struct mailbox_settings *settings,
                            mailbox_left_fn *on_left, void *arg)
{
    struct mailbox *mailbox = xcalloc(1, sizeof(*mailbox));
    mailbox->redis = redis;
    mailbox->lanes = lanes;
    mailbox->settings = *settings;
    mailbox->on_left = on_left;
    mailbox->arg = arg;
    mailbox->calls = slab_new("mailbox call", sizeof(struct call));
    buf_init(&mailbox->packed);
    return mailbox;
}

void mailbox_free(struct mailbox **mailbox)
{
    if (!*mailbox)
        return;
    slab_free(&(*mailbox)->calls);
    buf_release(&(*mailbox)->packed);
    free(*mailbox);
    *mailbox = NULL;
}

bool mailbox_is_up(const struct mailbox *mailbox)
{
    return redis_is_up(mailbox->redis);
}

void mailbox_begin(struct mailbox *mailbox, struct push_str user, struct push_str device)
{
    mailbox->user = user;
    mailbox->device = device;
    mailbox->count = 0;
    mailbox->has_collapse = false;
    buf_clear(&mailbox->packed);
}

bool mailbox_put(struct mailbox *mailbox, const struct record *record)
{
    Herald__V1__Delivery delivery;
    uint32_t i = mailbox->count++;
    mailbox->priority = record->push.priority;
    delivery_fill(record, &delivery);
    delivery.router = (char *)(uintptr_t)lanes_self(mailbox->lanes);
    size_t len = herald__v1__delivery__get_packed_size(&delivery);
    char *to = buf_reserve(&mailbox->packed, len);
    (void)herald__v1__delivery__pack(&delivery, (uint8_t *)to);
    mailbox->items[i].packed_at = mailbox->packed.len;
    mailbox->items[i].packed_len = len;
    mailbox->packed.len += len;
    const char *slash = memrchr(record->source.at, '/', record->source.len);
    CHECK(slash);
    mailbox->items[i].source = record->source.at;
    mailbox->items[i].source_len = (size_t)(slash - record->source.at);
    snprintf(mailbox->items[i].life, sizeof(mailbox->items[i].life), "%" PRId64, record->life);
    snprintf(mailbox->items[i].generation, sizeof(mailbox->items[i].generation), "%" PRId32, record->generation);
    snprintf(mailbox->items[i].offset, sizeof(mailbox->items[i].offset), "%" PRId64, record->kafka.offset);
    mailbox->items[i].collapse = record->push.collapse;
    mailbox->has_collapse |= record->push.collapse.len > 0;
    return mailbox->count < MAILBOX_RUN_MAX && mailbox->packed.len < MAILBOX_RUN_BYTES;
}

/* The gateways that hold sessions of the user (or that device) look into the box. */
static void poke(struct call *call, const struct redis_reply *reply, size_t first)
{
    struct push_str user = {call->user, call->user_len}, device = {call->device, call->device_len};
    uint32_t poked[POKED_MAX], poked_count = 0;
    for (size_t i = first; i + 1 < redis_reply_count(reply); i += 2) {
        size_t name_len, len;
        const char *name = redis_reply_str(redis_reply_at(reply, i), &name_len);
        const char *value = redis_reply_str(redis_reply_at(reply, i + 1), &len);
        struct route_value route;
        if (device.len > 0 && (name_len != device.len || memcmp(name, device.at, name_len) != 0))
            continue;
        if (route_parse(value, len, &route))
            continue;
        uint32_t number = lanes_number(call->mailbox->lanes, route.instance, route.instance_len), k = 0;
        while (k < poked_count && poked[k] != number)
            k++;
        if (k < poked_count)
            continue;
        if (poked_count < POKED_MAX)
            poked[poked_count++] = number;
        lanes_poke(call->mailbox->lanes, number, route.generation, user, device);
    }
}

/* Outcomes of messages that were taken out: the first `aged` of them for their age, the next for a newer one. */
static void report_left(const struct call *call, const struct redis_reply *packed, int64_t aged, int64_t collapsed)
{
    struct mailbox *mailbox = call->mailbox;
    for (size_t i = 0; i < redis_reply_count(packed); i++) {
        size_t len;
        const char *bytes = redis_reply_str(redis_reply_at(packed, i), &len);
        bool is_aged = (int64_t)i < aged;
        enum miss miss = (int64_t)i < aged + collapsed ? MISS_COLLAPSED : MISS_MAILBOX_FULL;
        metric_add(is_aged ? METRIC_BOX_AGED : miss == MISS_COLLAPSED ? METRIC_BOX_COLLAPSED : METRIC_BOX_TRIMMED, 1);
        Herald__V1__Delivery *delivery = herald__v1__delivery__unpack(memory_protobuf(), len, (const uint8_t *)bytes);
        if (!delivery)
            continue;
        const struct outcome outcome = {.kind = is_aged ? OUTCOME_EXPIRED : OUTCOME_DROPPED,
                                        .reason = is_aged ? "mailbox_ttl" : miss_labels[miss],
                                        .id = {delivery->id, (uint32_t)strlen(delivery->id)},
                                        .user = {call->user, call->user_len},
                                        .device = {call->device, call->device_len},
                                        .timestamp_ms = delivery->timestamp_ms,
                                        .source = delivery->source,
                                        .is_wanted = delivery->outcome,
                                        .is_later = true};
        mailbox->on_left(mailbox->arg, &outcome);
        herald__v1__delivery__free_unpacked(delivery, NULL);
    }
}

/* The codes of box_append. ERR_REFUSED: a newer owner has been there. */
static enum err read_codes(const struct redis_reply *reply, uint32_t count, bool *is_refused)
{
    size_t len;
    const char *codes = redis_reply_str(redis_reply_at(reply, 0), &len);
    bool is_stale = false;
    if (len != count)
        return ERR_INVALID;
    for (size_t i = 0; i < len; i++) {
        is_refused[i] = codes[i] == 'f';
        is_stale |= codes[i] == 'o';
        metric_add(codes[i] == 'a'   ? METRIC_BOX_APPENDED
                   : codes[i] == 's' ? METRIC_BOX_SKIPPED
                   : codes[i] == 'f' ? METRIC_BOX_FULL
                                     : METRIC_BOX_STALE,
                   1);
    }
    return is_stale ? ERR_REFUSED : ERR_OK;
}

static void on_reply(void *arg, enum err err, const struct redis_reply *reply)
{
    enum { CODES, LENGTH, AGED, COLLAPSED, LEFT, ROUTES };
    struct call *call = arg;
    struct mailbox *mailbox = call->mailbox;
    bool is_refused[MAILBOX_RUN_MAX] = {false};
    if (!err)
        err = redis_reply_count(reply) < ROUTES ? ERR_INVALID : read_codes(reply, call->count, is_refused);
    else if (err == ERR_REFUSED)
        err = ERR_INVALID; /* an error of the script, not its word on owners */
    if (err && err != ERR_CLOSED) {
        metric_add(METRIC_BOX_RETRIES, 1);
        log_limited(LOG_WARN, "mailbox append failed, will be tried again", F_ERR(err));
    }
    if (!err || err == ERR_REFUSED)
        poke(call, reply, ROUTES);
    call->fn(call->arg, err, is_refused);
    if (!err || err == ERR_REFUSED)
        report_left(call, redis_reply_at(reply, LEFT), redis_reply_int(redis_reply_at(reply, AGED)),
                    redis_reply_int(redis_reply_at(reply, COLLAPSED)));
    slab_put(mailbox->calls, call);
}

static void make_key(char *to, size_t size, const char *prefix, const struct mailbox *mailbox, bool has_device)
{
    const char *colon = has_device && mailbox->device.len > 0 ? ":" : "";
    const char *device = has_device ? mailbox->device.at : "";
    snprintf(to, size, "%s{%s}%s%s", prefix, mailbox->user.at, colon, device);
}

static struct call *make_call(struct mailbox *mailbox, mailbox_fn *fn, void *arg)
{
    struct call *call = slab_get(mailbox->calls);
    call->mailbox = mailbox;
    call->fn = fn;
    call->arg = arg;
    call->count = mailbox->count;
    call->user_len = mailbox->user.len;
    call->device_len = mailbox->device.len;
    memcpy(call->user, mailbox->user.at, call->user_len);
    memcpy(call->device, mailbox->device.at, call->device_len);
    return call;
}

/* Each priority has a flow of its own, which knows nothing of how far the others are: so it has its own marks and
 * collapse keys. */
static const char *prefix_of(const char *normal, Herald__V1__Priority priority)
{
    bool is_mark = strcmp(normal, "herald:boxmark:") == 0;
    if (priority == HERALD__V1__PRIORITY__PRIORITY_HIGH)
        return is_mark ? "herald:boxmark:high:" : "herald:boxkeys:high:";
    if (priority == HERALD__V1__PRIORITY__PRIORITY_LOW)
        return is_mark ? "herald:boxmark:low:" : "herald:boxkeys:low:";
    return normal;
}

/* The marks of a device's box are its own: with common ones a record for the device could hide an older one for the
 * user. */
enum err mailbox_send(struct mailbox *mailbox, mailbox_fn *fn, void *arg)
{
    enum { KEY_MAX = 40 + PUSH_USER_MAX + PUSH_DEVICE_MAX };
    char box[KEY_MAX], mark[KEY_MAX], route[KEY_MAX], collapses[KEY_MAX], count_max[24], bytes_max[24], ttl[24],
        policy[4], count[24];
    const char *argv[ARGS_MAX] = {box, mark, route, collapses};
    const char *const limits[LIMITS] = {count_max, bytes_max, ttl, policy, count};
    size_t lens[ARGS_MAX];
    int key_count = KEYS + mailbox->has_collapse, argc = 0;
    make_key(box, sizeof(box), "herald:box:", mailbox, true);
    make_key(mark, sizeof(mark), prefix_of("herald:boxmark:", mailbox->priority), mailbox, true);
    make_key(route, sizeof(route), "herald:route:", mailbox, false);
    make_key(collapses, sizeof(collapses), prefix_of("herald:boxkeys:", mailbox->priority), mailbox, true);
    snprintf(count_max, sizeof(count_max), "%" PRId64, mailbox->settings.count_max);
    snprintf(bytes_max, sizeof(bytes_max), "%" PRId64, mailbox->settings.bytes_max);
    snprintf(ttl, sizeof(ttl), "%" PRId64, mailbox->settings.ttl_ms);
    snprintf(policy, sizeof(policy), "%d", mailbox->settings.policy == MAILBOX_DROP_NEWEST);
    snprintf(count, sizeof(count), "%" PRIu32, mailbox->count);
    memcpy(argv + key_count, limits, sizeof(limits));
    for (; argc < key_count + LIMITS; argc++)
        lens[argc] = strlen(argv[argc]);
    for (uint32_t i = 0; i < mailbox->count; i++) {
        argv[argc] = mailbox->items[i].source;
        lens[argc++] = mailbox->items[i].source_len;
        argv[argc] = mailbox->items[i].life;
        lens[argc++] = strlen(mailbox->items[i].life);
        argv[argc] = mailbox->items[i].generation;
        lens[argc++] = strlen(mailbox->items[i].generation);
        argv[argc] = mailbox->items[i].offset;
        lens[argc++] = strlen(mailbox->items[i].offset);
        argv[argc] = mailbox->packed.bytes + mailbox->items[i].packed_at;
        lens[argc++] = mailbox->items[i].packed_len;
    }
    for (uint32_t i = 0; i < mailbox->count && mailbox->has_collapse; i++) {
        argv[argc] = mailbox->items[i].collapse.at;
        lens[argc++] = mailbox->items[i].collapse.len;
    }
    struct call *call = make_call(mailbox, fn, arg);
    enum err err = redis_script(mailbox->redis, REDIS_SCRIPT_BOX_APPEND, on_reply, call, key_count, argc, argv, lens);
    if (err)
        slab_put(mailbox->calls, call);
    return err;
}
