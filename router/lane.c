#include "router/lane.h"

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric.h"
#include "common/table.h"
#include "router/delivery.h"
#include "router/lane_queue.h"
#include "router/metrics.h"

#include <stdlib.h>
#include <string.h>

enum {
    LANE_MAGIC = 0x6c616e65,
    HELLO_MS = 1000,
    TARGETS_MAX = 64,         /* of one delivery piece */
    POKES_WAITING_MAX = 1024, /* for one instance that is not live (yet) */
    POKE_WAIT_MS = 15000,
    LANES_MAX = 65536 /* names ever heard of; beyond, number 0 stands for all: an instance that is never live */
};

struct waiting_poke {
    uint64_t generation, since_ms;
    char *user, *device;
};

struct lane {
    uint32_t magic, number;
    struct lanes *lanes;
    char *name;
    bool is_live, is_dirty;
    bool is_connected, is_full; /* is_full: ZeroMQ has no room */
    uint64_t generation;
    uint64_t heard_ms;
    struct bus_push *push;
    struct link_out out;
    struct list slots;         /* in the order of sending */
    uint32_t messages, queued; /* slots; those not yet handed to ZeroMQ, which are the last ones */
    uint64_t bytes;
    struct lane_queue queue;      /* waits until there is room */
    const struct record *pending; /* whose delivery is being collected */
    uint32_t target_count;
    Herald__V1__Target targets[TARGETS_MAX];
    struct waiting_poke *pokes;
    uint32_t poke_count;
};

struct lanes {
    struct loop *loop;
    struct bus *bus;
    struct lanes_settings settings;
    struct lanes_events events;
    void *arg;
    struct table *by_name;
    struct lane **all; /* by number */
    uint32_t count, live_count, messages, waiting;
    struct lane **dirty; /* room for all */
    uint32_t dirty_count;
    struct list lost; /* slots to be reported at the end of the turn */
    struct loop_task flush_task;
    struct loop_timer *hello_timer;
};

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct lane *lane = item;
    return strlen(lane->name) == key_len && memcmp(lane->name, key, key_len) == 0;
}

static char *text(struct push_str str)
{
    return (char *)(uintptr_t)str.at; /* protobuf-c has no const; packing only reads */
}

/* --- sending --- */

static void mark_dirty(struct lane *lane)
{
    struct lanes *lanes = lane->lanes;
    if (lane->is_dirty)
        return;
    lane->is_dirty = true;
    lanes->dirty[lanes->dirty_count++] = lane;
    loop_defer(lanes->loop, &lanes->flush_task);
}

static void put_pending(struct lane *lane)
{
    Herald__V1__Target *targets[TARGETS_MAX];
    Herald__V1__Delivery delivery;
    if (!lane->pending)
        return;
    for (uint32_t i = 0; i < lane->target_count; i++)
        targets[i] = &lane->targets[i];
    delivery_fill(lane->pending, &delivery);
    delivery.n_targets = lane->target_count;
    delivery.targets = targets;
    link_put_delivery(&lane->out, &delivery);
    lane->pending = NULL;
    lane->target_count = 0;
}

/* The last `queued` slots are ZeroMQ's now; or it refused them, then they are reported at the end of the turn. */
static void settle_queued(struct lane *lane, bool is_lost)
{
    struct list *at = lane->slots.prev;
    for (; lane->queued > 0; lane->queued--) {
        struct list *before = at->prev;
        container_of(at, struct slot, lane_link)->is_queued = false;
        if (is_lost) {
            list_remove(at);
            list_push_front(&lane->lanes->lost, at);
        }
        at = before;
    }
}

static void flush(struct lane *lane)
{
    size_t len;
    lane->is_dirty = false;
    put_pending(lane);
    char *bytes = link_take(&lane->out, &len);
    bool is_lost = false;
    if (!bytes)
        return;
    metric_add(METRIC_LANE_ENVELOPES, 1);
    metric_add(METRIC_LANE_BYTES, len);
    if (!lane->push)
        free(bytes); /* a test's lane */
    else if (bus_push_send(lane->push, bytes, len))
        is_lost = true;
    if (is_lost) {
        lane->is_full = true;
        metric_add(METRIC_LANE_ENVELOPES_LOST, 1);
        log_limited(LOG_WARN, "lane has no room", F_STR("to", lane->name));
        loop_defer(lane->lanes->loop, &lane->lanes->flush_task);
    }
    settle_queued(lane, is_lost);
}

void lanes_flush(struct lanes *lanes)
{
    while (lanes->dirty_count > 0)
        flush(lanes->dirty[--lanes->dirty_count]);
}

static void pump_all(struct lanes *lanes);

static void on_flush(void *arg)
{
    struct lanes *lanes = arg;
    if (lanes->waiting > 0)
        pump_all(lanes);
    lanes_flush(lanes);
    while (!list_is_empty(&lanes->lost))
        lanes->events.failed(lanes->arg, container_of(lanes->lost.next, struct slot, lane_link), LANE_LOST);
}

static void put_hello(struct lane *lane)
{
    Herald__V1__Hello hello = HERALD__V1__HELLO__INIT;
    hello.endpoint = (char *)(uintptr_t)lane->lanes->settings.endpoint;
    hello.sent_us = clock_wall_us();
    put_pending(lane);
    link_put_hello(&lane->out, &hello);
    mark_dirty(lane);
}

/* --- pokes --- */

static void forget_poke(struct waiting_poke *poke)
{
    free(poke->user);
    free(poke->device);
}

static void put_poke(struct lane *lane, char *user, char *device)
{
    Herald__V1__Poke poke = HERALD__V1__POKE__INIT;
    poke.user = user;
    poke.device = device;
    put_pending(lane);
    link_put_poke(&lane->out, &poke);
    mark_dirty(lane);
    metric_add(METRIC_POKES, 1);
}

static void drop_old_pokes(struct lane *lane, uint64_t now_ms)
{
    uint32_t old = 0;
    while (old < lane->poke_count && lane->pokes[old].since_ms + POKE_WAIT_MS <= now_ms)
        forget_poke(&lane->pokes[old++]);
    if (old == 0)
        return;
    metric_add(METRIC_POKES_DROPPED, old);
    lane->poke_count -= old;
    memmove(lane->pokes, lane->pokes + old, lane->poke_count * sizeof(*lane->pokes));
}

static bool is_reachable(const struct lane *lane, uint64_t generation)
{
    return lane->is_live && lane->generation == generation && lane->is_connected && !lane->is_full;
}

static void put_waiting_pokes(struct lane *lane)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < lane->poke_count; i++) {
        struct waiting_poke *poke = &lane->pokes[i];
        if (is_reachable(lane, poke->generation)) {
            put_poke(lane, poke->user, poke->device);
            forget_poke(poke);
        } else {
            lane->pokes[kept++] = *poke;
        }
    }
    lane->poke_count = kept;
}

void lanes_poke(struct lanes *lanes, uint32_t number, uint64_t generation, struct push_str user, struct push_str device)
{
    struct lane *lane = lanes->all[number];
    if (is_reachable(lane, generation)) {
        put_poke(lane, text(user), text(device));
        return;
    }
    if (lane->poke_count >= POKES_WAITING_MAX || (lane->is_live && generation < lane->generation)) {
        metric_add(METRIC_POKES_DROPPED, 1);
        return;
    }
    if (!lane->pokes)
        lane->pokes = xcalloc(POKES_WAITING_MAX, sizeof(*lane->pokes));
    lane->pokes[lane->poke_count++] = (struct waiting_poke){.generation = generation,
                                                            .since_ms = loop_now_ms(lanes->loop),
                                                            .user = xstrndup(user.at, user.len),
                                                            .device = xstrndup(device.at, device.len)};
}

/* --- lives --- */

static void on_room(void *arg)
{
    struct lane *lane = arg;
    MAGIC_CHECK(lane, LANE_MAGIC);
    lane->is_full = false;
    put_waiting_pokes(lane);
    loop_defer(lane->lanes->loop, &lane->lanes->flush_task);
}

static void on_event(void *arg, enum bus_event event)
{
    struct lane *lane = arg;
    MAGIC_CHECK(lane, LANE_MAGIC);
    lane->is_connected = event == BUS_CONNECTED;
    if (!lane->is_connected) {
        log_warn("lane lost its connection", F_STR("to", lane->name));
        return;
    }
    lane->is_full = false;
    put_hello(lane);
    put_waiting_pokes(lane);
}

static void on_hello_time(void *arg)
{
    struct lanes *lanes = arg;
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct lane *lane = lanes->all[i];
        if (lane->poke_count > 0)
            drop_old_pokes(lane, loop_now_ms(lanes->loop));
        if (is_reachable(lane, lane->generation))
            put_hello(lane);
    }
}

static struct lane *add_lane(struct lanes *lanes, const char *name, size_t len)
{
    struct lane *lane = xcalloc(1, sizeof(*lane));
    lane->magic = LANE_MAGIC;
    lane->lanes = lanes;
    lane->number = lanes->count;
    lane->name = xstrndup(name, len);
    list_init(&lane->slots);
    lane_queue_init(&lane->queue);
    for (uint32_t i = 0; i < TARGETS_MAX; i++)
        herald__v1__target__init(&lane->targets[i]);
    lanes->all = xrealloc(lanes->all, (lanes->count + 1) * sizeof(struct lane *));
    lanes->dirty = xrealloc(lanes->dirty, (lanes->count + 1) * sizeof(struct lane *));
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
    const struct lanes_settings *settings = &lanes->settings;
    struct lane *lane = get_lane(lanes, instance, strlen(instance));
    CHECK(!lane->is_live);
    if (lane->number == 0)
        return;
    if (lanes->bus &&
        bus_push_connect(lanes->bus, endpoint, (int)settings->hwm, on_event, on_room, lane, &lane->push)) {
        log_error("lane cannot connect", F_STR("to", instance), F_STR("endpoint", endpoint));
        return;
    }
    lane->generation = generation;
    lane->is_live = true;
    lane->is_full = false;
    lane->is_connected = !lanes->bus; /* a test's lane has nothing to connect */
    lane->heard_ms = loop_now_ms(lanes->loop);
    link_out_init(&lane->out, settings->router, settings->generation, lane->name, generation);
    lanes->live_count++;
    log_info("lane opens", F_STR("to", instance), F_UINT("generation", generation), F_STR("endpoint", endpoint));
    if (lane->is_connected)
        put_waiting_pokes(lane);
}

static void close_lane(struct lane *lane)
{
    lane->is_live = false;
    lane->pending = NULL;
    lane->target_count = 0;
    lane->lanes->live_count--;
    link_out_release(&lane->out);
    bus_push_free(&lane->push);
}

void lanes_gone(struct lanes *lanes, const char *instance)
{
    struct lane *lane = get_lane(lanes, instance, strlen(instance));
    struct list failed;
    if (!lane->is_live)
        return;
    log_info("lane closed", F_STR("to", instance), F_UINT("unanswered", lane->messages));
    lanes_flush(lanes); /* records that other lanes still collect for must not go before they are packed */
    close_lane(lane);
    list_init(&failed);
    list_splice(&failed, &lane->slots);
    while (!list_is_empty(&failed))
        lanes->events.failed(lanes->arg, container_of(failed.next, struct slot, lane_link), LANE_GONE);
    for (struct slot *slot; (slot = lane_queue_find(&lane->queue, NULL));)
        lanes->events.failed(lanes->arg, slot, LANE_GONE);
}

void lanes_heard(struct lanes *lanes, uint32_t number, uint64_t generation, const Herald__V1__Hello *hello)
{
    struct lane *lane = lanes->all[number];
    if (!lane->is_live || lane->generation != generation)
        return;
    lane->heard_ms = loop_now_ms(lanes->loop);
    uint64_t now_us = hello ? clock_wall_us() : 0;
    if (hello && hello->echo_us > 0 && hello->echo_us <= now_us)
        metric_observe(METRIC_LANE_ROUND_TRIP, now_us - hello->echo_us);
}

/* --- outside --- */

struct lanes *lanes_new(struct loop *loop, struct bus *bus, const struct lanes_settings *settings,
                        const struct lanes_events *events, void *arg)
{
    struct lanes *lanes = xcalloc(1, sizeof(*lanes));
    lanes->loop = loop;
    lanes->bus = bus;
    lanes->settings = *settings;
    lanes->events = *events;
    lanes->arg = arg;
    lanes->by_name = table_new(match);
    list_init(&lanes->lost);
    (void)add_lane(lanes, "", 0);
    loop_task_init(&lanes->flush_task, on_flush, lanes);
    lanes->hello_timer = loop_timer_new(loop, on_hello_time, lanes);
    loop_timer_start(lanes->hello_timer, HELLO_MS, HELLO_MS);
    return lanes;
}

void lanes_free(struct lanes **lanes_p)
{
    struct lanes *lanes = *lanes_p;
    if (!lanes)
        return;
    loop_task_cancel(lanes->loop, &lanes->flush_task);
    loop_timer_free(&lanes->hello_timer);
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct lane *lane = lanes->all[i];
        CHECK(lane->messages == 0 && lane_queue_count(&lane->queue) == 0);
        if (lane->is_live)
            close_lane(lane);
        for (uint32_t k = 0; k < lane->poke_count; k++)
            forget_poke(&lane->pokes[k]);
        free(lane->pokes);
        free(lane->name);
        free(lane);
    }
    table_free(&lanes->by_name);
    free(lanes->all);
    free(lanes->dirty);
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

static bool has_room(const struct lane *lane)
{
    const struct lanes_settings *settings = &lane->lanes->settings;
    return !lane->is_full && lane->messages < (uint64_t)settings->messages_max &&
           lane->bytes < (uint64_t)settings->bytes_max;
}

enum err lanes_admits(const struct lanes *lanes, uint32_t number, uint64_t generation)
{
    const struct lane *lane = lanes->all[number];
    uint32_t waiting = lane_queue_count(&lane->queue);
    if (!lane->is_live || lane->generation != generation || !lane->is_connected ||
        loop_now_ms(lanes->loop) - lane->heard_ms > (uint64_t)lanes->settings.silence_ms)
        return ERR_AWAY;
    if (waiting == 0 && has_room(lane))
        return ERR_OK;
    return waiting < (uint64_t)lanes->settings.waiting_max ? ERR_OK : ERR_FULL;
}

static void send_now(struct lane *lane, const struct record *record, const struct lane_target *to, struct slot *slot)
{
    struct lanes *lanes = lane->lanes;
    if (lane->pending != record || lane->target_count == TARGETS_MAX) {
        put_pending(lane);
        if (lane->out.len >= (size_t)lanes->settings.envelope_max)
            lanes_flush(lanes);
        lane->pending = record;
    }
    Herald__V1__Target *target = &lane->targets[lane->target_count++];
    target->user = text(to->user);
    target->device = text(to->device);
    target->connection = to->connection;
    target->run = to->position.run;
    target->run_index = to->position.index;
    target->slot = slot->index;
    target->slot_generation = slot->generation;
    list_push(&lane->slots, &slot->lane_link);
    slot->is_queued = true;
    lane->messages++;
    lane->queued++;
    lane->bytes += slot->bytes;
    lanes->messages++;
    mark_dirty(lane);
}

/* Whatever waits goes, by priority, as far as there is room. */
static void pump_all(struct lanes *lanes)
{
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct lane *lane = lanes->all[i];
        while (lane_queue_count(&lane->queue) > 0 && is_reachable(lane, lane->generation) && has_room(lane)) {
            struct lane_wait wait = lane_queue_take(&lane->queue, &lanes->settings.weights);
            lanes->waiting--;
            send_now(lane, wait.record, &wait.to, wait.slot);
        }
    }
}

void lanes_send(struct lanes *lanes, uint32_t number, const struct record *record, const struct lane_target *to,
                struct slot *slot)
{
    struct lane *lane = lanes->all[number];
    slot->instance = number;
    if (lane_queue_count(&lane->queue) == 0 && has_room(lane)) {
        send_now(lane, record, to, slot);
        return;
    }
    lane_queue_put(&lane->queue, record, to, slot);
    lanes->waiting++;
    metric_add(METRIC_LANE_WAITED, 1);
}

void lanes_released(struct lanes *lanes, struct slot *slot)
{
    struct lane *lane = lanes->all[slot->instance];
    if (slot->waiting) {
        lane_queue_drop(&lane->queue, slot);
        lanes->waiting--;
        return;
    }
    CHECK(lane->messages > 0 && lane->bytes >= slot->bytes);
    lane->messages--;
    lane->bytes -= slot->bytes;
    lanes->messages--;
    if (slot->is_queued) {
        put_pending(lane); /* the record may go now, before the end of the turn */
        slot->is_queued = false;
        lane->queued--;
    }
    list_remove(&slot->lane_link);
    if (lane_queue_count(&lane->queue) > 0)
        loop_defer(lanes->loop, &lanes->flush_task);
}

void lanes_forget(struct lanes *lanes, const struct record *record)
{
    for (uint32_t i = 0; i < lanes->count && lanes->waiting > 0; i++) {
        struct lane *lane = lanes->all[i];
        for (struct slot *slot; (slot = lane_queue_find(&lane->queue, record));) {
            lane_queue_drop(&lane->queue, slot);
            lanes->waiting--;
            list_push_front(&lane->slots, &slot->lane_link); /* the last ones are those that ZeroMQ does not have */
            lane->messages++;
            lane->bytes += slot->bytes;
            lanes->messages++;
        }
    }
}

void lanes_withdraw(struct lanes *lanes, uint32_t number, struct push_str user, struct push_str id)
{
    struct lane *lane = lanes->all[number];
    Herald__V1__Withdrawal withdrawal = HERALD__V1__WITHDRAWAL__INIT;
    if (!is_reachable(lane, lane->generation))
        return;
    withdrawal.user = text(user);
    withdrawal.id = text(id);
    put_pending(lane);
    link_put_withdrawal(&lane->out, &withdrawal);
    mark_dirty(lane);
    metric_add(METRIC_WITHDRAWALS, 1);
}

void lanes_upstream_result(struct lanes *lanes, uint32_t number, uint64_t generation, uint64_t request, uint32_t code)
{
    struct lane *lane = lanes->all[number];
    Herald__V1__UpstreamResult result = HERALD__V1__UPSTREAM_RESULT__INIT;
    if (!is_reachable(lane, generation))
        return;
    result.request = request;
    result.code = code;
    put_pending(lane);
    link_put_upstream_result(&lane->out, &result);
    mark_dirty(lane);
}

uint32_t lanes_waiting(const struct lanes *lanes)
{
    return lanes->waiting;
}

uint32_t lanes_messages(const struct lanes *lanes)
{
    return lanes->messages;
}
