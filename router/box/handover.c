#include "router/box/handover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/metric.h"
#include "common/redis_script.h"
#include "common/table.h"
#include "router/metrics.h"
#include "router/box/offline.h"

enum {
    HANDOVER_MAGIC = 0x484f5652,
    TASK_MAGIC = 0x484f5441,
    SHARDS = 16,
    LOOK_MS = 100, /* one shard each time */
    CLAIMS = 16,   /* mailboxes taken by a look */
    TASKS_MAX = 64,
    PAGE = 64, /* messages of a mailbox under one claim */
    MAILBOX_MAX = PUSH_USER_MAX + PUSH_DEVICE_MAX + 2,
    KEY_MAX = MAILBOX_MAX + 40
};
#define CLAIM_MS "90000" /* longer than Kafka and Redis may take to answer */

/* Of one shard: the argument of its claims. */
struct look {
    struct handover *handover;
    uint32_t shard;
};

struct handover {
    uint32_t magic;
    bool is_stopped;
    struct loop *loop;
    struct redis *redis;
    struct kafka_producer *producer;
    const struct handover_settings *settings;
    int64_t box_ttl_ms;
    struct loop_timer *timer;
    struct look looks[SHARDS];
    uint32_t shard, task_count;
    char noted[MAILBOX_MAX]; /* the last one, and when: the messages of a run come together */
    uint64_t noted_ms;
    struct buf json;
};

/* A mailbox under claim. */
struct task {
    uint32_t magic;
    struct handover *handover;
    uint32_t shard;
    uint64_t now_ms; /* of Redis, at the claim */
    char mailbox[MAILBOX_MAX];
    char user[PUSH_USER_MAX + 1], device[PUSH_DEVICE_MAX + 1]; /* of it */
    char mark[48], last[48];
    uint64_t due_ms; /* of the first entry that is too young; 0: none */
    bool has_more;
    struct buf devices;
    uint32_t waiting; /* for Kafka */
    bool is_handing_out, has_failed;
};

/* --- noting ---------------------------------------------------------------------------------------------------- */

static void shard_keys(uint32_t shard, char waiting[KEY_MAX], char claimed[KEY_MAX])
{
    snprintf(waiting, KEY_MAX, "herald:handover:{%" PRIu32 "}", shard);
    snprintf(claimed, KEY_MAX, "herald:handover:{%" PRIu32 "}:claimed", shard);
}

static enum err run_script(struct handover *h, enum redis_script script, redis_fn *fn, void *arg, int keys,
                           const char *const *words, int count)
{
    size_t lens[8];
    for (int i = 0; i < count; i++)
        lens[i] = strlen(words[i]);
    return redis_script(h->redis, script, fn, arg, keys, count, words, lens);
}

static void on_noted(void *arg, enum err err, const struct redis_reply *reply)
{
    (void)arg;
    int64_t answer = err ? -2 : redis_reply_int(reply);
    if (answer == 1)
        metric_add_labelled(METRIC_HANDOVERS, HANDOVER_NOTED, 1);
    if (answer < 0)
        metric_add_labelled(METRIC_HANDOVERS, HANDOVER_LOST, 1);
    if (answer == -1)
        log_limited(LOG_WARN, "not noted for hand-over: handover.mailboxes_max is reached");
}

void handover_note(struct handover *h, struct push_str user, struct push_str device)
{
    char mailbox[MAILBOX_MAX], waiting[KEY_MAX], claimed[KEY_MAX], after[24], max[24];
    uint64_t now_ms = loop_now_ms(h->loop);
    snprintf(mailbox, sizeof(mailbox), "%.*s\n%.*s", (int)user.len, user.at, (int)device.len, device.at);
    if (now_ms == h->noted_ms && strcmp(mailbox, h->noted) == 0)
        return;
    h->noted_ms = now_ms;
    memcpy(h->noted, mailbox, sizeof(mailbox));
    shard_keys((uint32_t)table_hash(user.at, user.len) % SHARDS, waiting, claimed);
    snprintf(after, sizeof(after), "%" PRId64, h->settings->after_ms);
    snprintf(max, sizeof(max), "%" PRId64, h->settings->mailboxes_max / SHARDS + 1);
    const char *words[] = {waiting, mailbox, after, max};
    enum err err = run_script(h, REDIS_SCRIPT_HANDOVER_ADD, on_noted, h, 1, words, 4);
    if (err)
        on_noted(h, err, NULL);
}

/* --- the end of a task ----------------------------------------------------------------------------------------- */

static void task_free(struct task *task)
{
    task->handover->task_count--;
    task->magic = 0;
    buf_release(&task->devices);
    free(task);
}

static void make_key(const struct task *task, char key[KEY_MAX], const char *noun)
{
    snprintf(key, KEY_MAX, "herald:%s:{%s}%s%s", noun, task->user, *task->device ? ":" : "", task->device);
}

/* A task that failed leaves its claim, which runs out, and the mailbox is tried again. */
static void give_up(struct task *task)
{
    metric_add_labelled(METRIC_HANDOVERS, HANDOVER_FAILED, 1);
    task_free(task);
}

static void finish(struct task *task)
{
    struct handover *h = task->handover;
    char handed[KEY_MAX], waiting[KEY_MAX], claimed[KEY_MAX], due[24], ttl[24];
    uint64_t due_ms = task->has_more ? task->now_ms : task->due_ms;
    if (*task->last) {
        make_key(task, handed, "handed");
        snprintf(ttl, sizeof(ttl), "%" PRId64, h->box_ttl_ms);
        if (redis_words(h->redis, NULL, NULL, "SET", handed, task->last, "PX", ttl, NULL) != ERR_OK) {
            give_up(task);
            return;
        }
    }
    shard_keys(task->shard, waiting, claimed);
    snprintf(due, sizeof(due), "%" PRIu64, due_ms);
    const char *words[] = {waiting, claimed, task->mailbox, due};
    if (run_script(h, REDIS_SCRIPT_HANDOVER_END, NULL, NULL, 2, words, 4) != ERR_OK)
        log_debug("a claim of the hand-over is left to run out");
    task_free(task);
}

static void finish_when_done(struct task *task)
{
    if (task->is_handing_out || task->waiting > 0)
        return;
    if (task->has_failed || task->handover->is_stopped)
        give_up(task);
    else
        finish(task);
}

/* --- publishing ------------------------------------------------------------------------------------------------ */

static void on_delivered(void *arg, enum err err)
{
    struct task *task = arg;
    MAGIC_CHECK(task, TASK_MAGIC);
    task->waiting--;
    task->has_failed |= err != ERR_OK;
    if (err == ERR_OK)
        metric_add_labelled(METRIC_HANDOVERS, HANDOVER_PUBLISHED, 1);
    finish_when_done(task);
}

static void publish(struct task *task, const Herald__V1__Delivery *delivery, uint64_t stored_ms)
{
    struct handover *h = task->handover;
    if (delivery->expires_at_ms > 0 && (uint64_t)delivery->expires_at_ms <= task->now_ms) {
        metric_add_labelled(METRIC_HANDOVERS, HANDOVER_EXPIRED, 1);
        return;
    }
    buf_clear(&h->json);
    offline_add_record(delivery, task->user, task->device, task->devices.bytes, stored_ms, task->now_ms, &h->json);
    task->waiting++;
    enum err err = kafka_produce(h->producer, h->settings->topic, task->user, strlen(task->user), h->json.bytes,
                                 h->json.len, NULL, 0, on_delivered, task);
    if (err)
        on_delivered(task, err);
}

/* [id, [d, packed Delivery]]. False: it and what follows is too young. */
static bool take_entry(struct task *task, const struct redis_reply *entry)
{
    size_t id_len, len;
    const char *id = redis_reply_str(redis_reply_at(entry, 0), &id_len);
    const char *bytes = redis_reply_str(redis_reply_at(redis_reply_at(entry, 1), 1), &len);
    uint64_t stored_ms = strtoull(id, NULL, 10);
    if (stored_ms + (uint64_t)task->handover->settings->after_ms > task->now_ms) {
        task->due_ms = stored_ms + (uint64_t)task->handover->settings->after_ms;
        return false;
    }
    Herald__V1__Delivery *delivery = herald__v1__delivery__unpack(memory_protobuf(), len, (const uint8_t *)bytes);
    if (delivery) {
        publish(task, delivery, stored_ms);
        herald__v1__delivery__free_unpacked(delivery, NULL);
    }
    snprintf(task->last, sizeof(task->last), "%s", id);
    return true;
}

static void on_page(void *arg, enum err err, const struct redis_reply *reply)
{
    struct task *task = arg;
    MAGIC_CHECK(task, TASK_MAGIC);
    if (err || redis_reply_kind(reply) != REDIS_ARRAY) {
        give_up(task);
        return;
    }
    size_t count = redis_reply_count(reply), i = 0;
    task->is_handing_out = true;
    while (i < count && take_entry(task, redis_reply_at(reply, i)))
        i++;
    task->is_handing_out = false;
    task->has_more = count == PAGE && i == count;
    finish_when_done(task);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static void on_devices(void *arg, enum err err, const struct redis_reply *reply)
{
    struct task *task = arg;
    MAGIC_CHECK(task, TASK_MAGIC);
    char box[KEY_MAX], from[sizeof(task->mark) + 1], page[8];
    if (err) {
        give_up(task);
        return;
    }
    offline_add_devices(reply, &task->devices);
    make_key(task, box, "box");
    snprintf(from, sizeof(from), "%s%s", *task->mark ? "(" : "", *task->mark ? task->mark : "-");
    snprintf(page, sizeof(page), "%d", PAGE);
    if (redis_words(task->handover->redis, on_page, task, "XRANGE", box, from, "+", "COUNT", page, NULL) != ERR_OK)
        give_up(task);
}

static void on_mark(void *arg, enum err err, const struct redis_reply *reply)
{
    struct task *task = arg;
    MAGIC_CHECK(task, TASK_MAGIC);
    char devices[KEY_MAX];
    size_t len = 0;
    if (err) {
        give_up(task);
        return;
    }
    const char *mark = redis_reply_str(reply, &len);
    if (len < sizeof(task->mark) && mark[strspn(mark, "0123456789-")] == '\0')
        snprintf(task->mark, sizeof(task->mark), "%s", mark);
    snprintf(devices, sizeof(devices), "herald:devices:{%s}", task->user);
    if (redis_words(task->handover->redis, on_devices, task, "HGETALL", devices, NULL) != ERR_OK)
        give_up(task);
}

static void start_task(struct handover *h, uint32_t shard, uint64_t now_ms, const char *mailbox, size_t len)
{
    char handed[KEY_MAX];
    const char *line = memchr(mailbox, '\n', len);
    size_t user_len = line ? (size_t)(line - mailbox) : len, device_len = line ? len - user_len - 1 : 0;
    if (!line || user_len > PUSH_USER_MAX || device_len > PUSH_DEVICE_MAX)
        return; /* not of our making: it is dropped when its claim has run out often enough */
    struct task *task = xcalloc(1, sizeof(*task));
    *task = (struct task){.magic = TASK_MAGIC, .handover = h, .shard = shard, .now_ms = now_ms};
    memcpy(task->mailbox, mailbox, len);
    memcpy(task->user, mailbox, user_len);
    memcpy(task->device, line + 1, device_len);
    buf_init(&task->devices);
    h->task_count++;
    make_key(task, handed, "handed");
    if (redis_words(h->redis, on_mark, task, "GET", handed, NULL) != ERR_OK)
        give_up(task);
}

/* Which shard a claim was for stands in its argument: the handover's array of them. */
static void on_claimed(void *arg, enum err err, const struct redis_reply *reply)
{
    const struct look *look = arg;
    struct handover *h = look->handover;
    MAGIC_CHECK(h, HANDOVER_MAGIC);
    if (err || redis_reply_count(reply) < 1)
        return;
    uint64_t now_ms = (uint64_t)redis_reply_int(redis_reply_at(reply, 0));
    for (size_t i = 1; i < redis_reply_count(reply); i++) {
        size_t len;
        const char *mailbox = redis_reply_str(redis_reply_at(reply, i), &len);
        start_task(h, look->shard, now_ms, mailbox, len);
    }
}

static void look(void *arg)
{
    struct handover *h = arg;
    MAGIC_CHECK(h, HANDOVER_MAGIC);
    char waiting[KEY_MAX], claimed[KEY_MAX], claims[8];
    if (!redis_is_up(h->redis) || h->task_count + CLAIMS > TASKS_MAX)
        return;
    struct look *at = &h->looks[h->shard];
    h->shard = (h->shard + 1) % SHARDS;
    shard_keys(at->shard, waiting, claimed);
    snprintf(claims, sizeof(claims), "%d", CLAIMS);
    const char *words[] = {waiting, claimed, CLAIM_MS, claims};
    if (run_script(h, REDIS_SCRIPT_HANDOVER_CLAIM, on_claimed, at, 2, words, 4) != ERR_OK)
        log_debug("hand-over: Redis takes nothing now");
}

/* --- its life -------------------------------------------------------------------------------------------------- */

struct handover *handover_new(struct loop *loop, struct redis *redis, struct kafka_producer *producer,
                              const struct handover_settings *settings, int64_t box_ttl_ms)
{
    struct handover *h = xcalloc(1, sizeof(*h));
    h->magic = HANDOVER_MAGIC;
    h->loop = loop;
    h->redis = redis;
    h->producer = producer;
    h->settings = settings;
    h->box_ttl_ms = box_ttl_ms;
    for (uint32_t i = 0; i < SHARDS; i++)
        h->looks[i] = (struct look){h, i};
    buf_init(&h->json);
    h->timer = loop_timer_new(loop, look, h);
    loop_timer_start(h->timer, LOOK_MS, LOOK_MS);
    return h;
}

void handover_stop(struct handover *h)
{
    h->is_stopped = true;
    loop_timer_stop(h->timer);
}

void handover_free(struct handover **handover)
{
    struct handover *h = *handover;
    if (!h)
        return;
    CHECK(h->task_count == 0);
    loop_timer_free(&h->timer);
    buf_release(&h->json);
    h->magic = 0;
    free(h);
    *handover = NULL;
}
