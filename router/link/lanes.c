#include "router/link/lanes.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric.h"
#include "common/table.h"
#include "router/link/lane.h"
#include "router/metrics.h"

enum {
    HELLO_MS = 1000,
    SILENCE_LOOK_MS = 100,
    LANES_MAX = 65536 /* names ever heard of; beyond, number 0 stands for all: an instance that is never live */
};

struct lanes {
    struct bus *bus;
    struct lanes_settings settings;
    struct lanes_events events;
    void *arg;
    struct table *by_name;
    struct lane **all; /* by number */
    uint32_t count, live_count;
    struct lane_turn turn;
    struct loop_timer *hello_timer, *silence_timer;
};

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct lane *lane = item;
    return strlen(lane->name) == key_len && memcmp(lane->name, key, key_len) == 0;
}

/* --- messages --- */

static bool is_silent(const struct lanes *lanes, const struct lane *lane)
{
    return loop_now_ms(lanes->turn.loop) - lane->heard_ms > (uint64_t)lanes->settings.silence_ms;
}

enum err lanes_admits(const struct lanes *lanes, uint32_t number, uint64_t generation)
{
    const struct lane *lane = lanes->all[number];
    uint32_t waiting = lane_queue_count(&lane->queue);
    if (!lane->is_live || lane->generation != generation || !lane->is_connected || is_silent(lanes, lane))
        return ERR_AWAY;
    if (waiting == 0 && lane_has_room(lane))
        return ERR_OK;
    return waiting < (uint64_t)lanes->settings.waiting_max ? ERR_OK : ERR_FULL;
}

struct lane_load lanes_load(const struct lanes *lanes, uint32_t number)
{
    const struct lane *lane = lanes->all[number];
    return (struct lane_load){lane->messages + lane_queue_count(&lane->queue), lane->bytes};
}

static void send_now(struct lanes *lanes, struct lane *lane, const struct record *record, const struct lane_target *to,
                     struct slot *slot)
{
    if (!envelope_continues(&lane->envelope, record)) {
        envelope_pack(&lane->envelope);
        if (envelope_len(&lane->envelope) >= (size_t)lanes->settings.envelope_max)
            lanes_flush(lanes);
    }
    lane_send(lane, record, to, slot);
}

void lanes_send(struct lanes *lanes, uint32_t number, const struct record *record, const struct lane_target *to,
                struct slot *slot)
{
    struct lane *lane = lanes->all[number];
    slot->instance = number;
    if (lane_queue_count(&lane->queue) == 0 && lane_has_room(lane))
        send_now(lanes, lane, record, to, slot);
    else
        lane_wait(lane, record, to, slot);
}

void lanes_released(struct lanes *lanes, struct slot *slot)
{
    lane_released(lanes->all[slot->instance], slot);
}

void lanes_forget(struct lanes *lanes, const struct record *record)
{
    for (uint32_t i = 0; i < lanes->count && lanes->turn.waiting > 0; i++)
        lane_forget(lanes->all[i], record);
}

/* Whatever waits goes, by priority, as far as there is room. */
static void pump(struct lanes *lanes)
{
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct lane *lane = lanes->all[i];
        while (lane_queue_count(&lane->queue) > 0 && lane_is_reachable(lane, lane->generation) && lane_has_room(lane)) {
            struct lane_wait wait = lane_queue_take(&lane->queue, &lanes->settings.weights);
            lanes->turn.waiting--;
            send_now(lanes, lane, wait.record, &wait.to, wait.slot);
        }
    }
}

void lanes_flush(struct lanes *lanes)
{
    struct list *link;
    while ((link = list_first(&lanes->turn.dirty)))
        lane_flush(container_of(link, struct lane, dirty_link));
}

static void end_turn(void *arg)
{
    struct lanes *lanes = arg;
    if (lanes->turn.waiting > 0)
        pump(lanes);
    lanes_flush(lanes);
    while (!list_is_empty(&lanes->turn.lost))
        lanes->events.failed(lanes->arg, container_of(lanes->turn.lost.next, struct slot, lane_link), LANE_LOST);
}

/* --- small pieces --- */

void lanes_poke(struct lanes *lanes, uint32_t number, uint64_t generation, struct push_str user, struct push_str device)
{
    lane_poke(lanes->all[number], generation, user, device);
}

void lanes_withdraw(struct lanes *lanes, uint32_t number, struct push_str user, struct push_str id)
{
    struct lane *lane = lanes->all[number];
    if (!lane_is_reachable(lane, lane->generation))
        return;
    envelope_put_withdrawal(&lane->envelope, user, id);
    lane_mark_dirty(lane);
}

void lanes_upstream_result(struct lanes *lanes, uint32_t number, uint64_t generation, uint64_t request, uint32_t code)
{
    struct lane *lane = lanes->all[number];
    if (!lane_is_reachable(lane, generation))
        return;
    envelope_put_upstream_result(&lane->envelope, request, code);
    lane_mark_dirty(lane);
}

void lanes_box_fate_result(struct lanes *lanes, uint32_t number, uint64_t generation, uint64_t fate, bool is_taken)
{
    struct lane *lane = lanes->all[number];
    if (!lane_is_reachable(lane, generation))
        return;
    envelope_put_box_fate_result(&lane->envelope, fate, is_taken);
    lane_mark_dirty(lane);
}

/* All that is under way on it, and what waits for it, ends. Records that other lanes still collect for must not go
 * before they are packed. */
static void fail_all(struct lanes *lanes, struct lane *lane)
{
    struct list failed;
    lanes_flush(lanes);
    list_init(&failed);
    list_splice(&failed, &lane->slots);
    while (!list_is_empty(&failed))
        lanes->events.failed(lanes->arg, container_of(failed.next, struct slot, lane_link), LANE_GONE);
    for (struct slot *slot; (slot = lane_queue_find(&lane->queue, NULL));)
        lanes->events.failed(lanes->arg, slot, LANE_GONE);
}

/* Whoever says nothing gets no more (lanes_admits()), and does not hold up what he has got: the partitions of that
 * would rest until the ack wait has passed, however long that is. */
static void on_silence_time(void *arg)
{
    struct lanes *lanes = arg;
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct lane *lane = lanes->all[i];
        if (!lane->is_live || !is_silent(lanes, lane) || lanes_load(lanes, i).attempts == 0)
            continue;
        log_warn("lane is silent", F_STR("to", lane->name), F_UINT("unanswered", lane->messages));
        metric_add(METRIC_LANES_SILENT, 1);
        fail_all(lanes, lane);
    }
}

static void on_hello_time(void *arg)
{
    struct lanes *lanes = arg;
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct lane *lane = lanes->all[i];
        pokes_drop_old(&lane->pokes, loop_now_ms(lanes->turn.loop));
        if (lane_is_reachable(lane, lane->generation))
            lane_put_hello(lane);
    }
}

/* --- who is there --- */

static struct lane *add_lane(struct lanes *lanes, const char *name, size_t len)
{
    struct lane *lane = lane_new(&lanes->settings, &lanes->turn, lanes->count, name, len);
    lanes->all = xrealloc(lanes->all, (lanes->count + 1) * sizeof(struct lane *));
    lanes->all[lanes->count++] = lane;
    table_add(lanes->by_name, name, len, lane);
    return lane;
}

static struct lane *get_lane(struct lanes *lanes, const char *name, size_t len)
{
    struct lane *lane = table_find(lanes->by_name, name, len);
    if (lane)
        return lane;
    return lanes->count < LANES_MAX ? add_lane(lanes, name, len) : lanes->all[0];
}

void lanes_joined(struct lanes *lanes, const char *instance, uint64_t generation, const char *endpoint)
{
    struct lane *lane = get_lane(lanes, instance, strlen(instance));
    CHECK(!lane->is_live);
    if (lane->number == 0)
        return;
    if (lane_open(lane, lanes->bus, generation, endpoint)) {
        log_error("lane cannot connect", F_STR("to", instance), F_STR("endpoint", endpoint));
        return;
    }
    lanes->live_count++;
    log_info("lane opens", F_STR("to", instance), F_UINT("generation", generation), F_STR("endpoint", endpoint));
    lane_put_waiting_pokes(lane);
}

void lanes_gone(struct lanes *lanes, const char *instance)
{
    struct lane *lane = get_lane(lanes, instance, strlen(instance));
    if (!lane->is_live)
        return;
    log_info("lane closed", F_STR("to", instance), F_UINT("unanswered", lane->messages));
    lanes_flush(lanes);
    lane_close(lane);
    lanes->live_count--;
    fail_all(lanes, lane);
}

void lanes_heard(struct lanes *lanes, uint32_t number, uint64_t generation, const Herald__V1__Hello *hello)
{
    struct lane *lane = lanes->all[number];
    if (!lane->is_live || lane->generation != generation)
        return;
    lane->heard_ms = loop_now_ms(lanes->turn.loop);
    uint64_t now_us = hello ? clock_wall_us() : 0;
    if (hello && unread_echoed(&lane->unread, hello->echo_us) && lane_queue_count(&lane->queue) > 0)
        loop_defer(lanes->turn.loop, &lanes->turn.task);
    if (hello && hello->echo_us > 0 && hello->echo_us <= now_us)
        metric_observe(METRIC_LANE_ROUND_TRIP, now_us - hello->echo_us);
}

/* --- outside --- */

struct lanes *lanes_new(struct loop *loop, struct bus *bus, const struct lanes_settings *settings,
                        const struct lanes_events *events, void *arg)
{
    struct lanes *lanes = xcalloc(1, sizeof(*lanes));
    lanes->turn.loop = loop;
    lanes->bus = bus;
    lanes->settings = *settings;
    lanes->events = *events;
    lanes->arg = arg;
    lanes->by_name = table_new(match);
    list_init(&lanes->turn.dirty);
    list_init(&lanes->turn.lost);
    loop_task_init(&lanes->turn.task, end_turn, lanes);
    (void)add_lane(lanes, "", 0);
    lanes->hello_timer = loop_timer_new(loop, on_hello_time, lanes);
    loop_timer_start(lanes->hello_timer, HELLO_MS, HELLO_MS);
    lanes->silence_timer = loop_timer_new(loop, on_silence_time, lanes);
    loop_timer_start(lanes->silence_timer, SILENCE_LOOK_MS, SILENCE_LOOK_MS);
    return lanes;
}

void lanes_free(struct lanes **lanes_p)
{
    struct lanes *lanes = *lanes_p;
    if (!lanes)
        return;
    loop_task_cancel(lanes->turn.loop, &lanes->turn.task);
    loop_timer_free(&lanes->hello_timer);
    loop_timer_free(&lanes->silence_timer);
    for (uint32_t i = 0; i < lanes->count; i++)
        lane_free(&lanes->all[i]);
    table_free(&lanes->by_name);
    free(lanes->all);
    free(lanes);
    *lanes_p = NULL;
}

uint32_t lanes_number(struct lanes *lanes, const char *instance, size_t len)
{
    return get_lane(lanes, instance, len)->number;
}

const char *lanes_self(const struct lanes *lanes)
{
    return lanes->settings.router;
}

const char *lanes_name(const struct lanes *lanes, uint32_t number)
{
    return lanes->all[number]->name;
}

bool lanes_is_live(const struct lanes *lanes, uint32_t number, uint64_t generation)
{
    const struct lane *lane = lanes->all[number];
    return lane->is_live && lane->generation == generation;
}

uint32_t lanes_live(const struct lanes *lanes)
{
    return lanes->live_count;
}

bool lanes_next(const struct lanes *lanes, uint32_t *cursor, uint32_t *number_r, uint64_t *generation_r)
{
    while (*cursor < lanes->count) {
        const struct lane *lane = lanes->all[(*cursor)++];
        if (!lane->is_live)
            continue;
        *number_r = lane->number;
        *generation_r = lane->generation;
        return true;
    }
    return false;
}

uint32_t lanes_waiting(const struct lanes *lanes)
{
    return lanes->turn.waiting;
}

uint64_t lanes_unread(const struct lanes *lanes)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < lanes->count; i++)
        bytes += lanes->all[i]->is_live ? unread_bytes(&lanes->all[i]->unread) : 0;
    return bytes;
}

uint32_t lanes_messages(const struct lanes *lanes)
{
    return lanes->turn.messages;
}
