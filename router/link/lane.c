#include "router/link/lane.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric.h"
#include "router/metrics.h"

enum { LANE_MAGIC = 0x6c616e65 };

/* --- leaving --- */

void lane_mark_dirty(struct lane *lane)
{
    if (!list_is_empty(&lane->dirty_link))
        return;
    list_push(&lane->turn->dirty, &lane->dirty_link);
    loop_defer(lane->turn->loop, &lane->turn->task);
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
            list_push_front(&lane->turn->lost, at);
        }
        at = before;
    }
}

void lane_flush(struct lane *lane)
{
    size_t len;
    list_remove(&lane->dirty_link);
    char *bytes = envelope_take(&lane->envelope, &len);
    bool is_lost = false;
    if (!bytes)
        return;
    metric_add(METRIC_LANE_ENVELOPES, 1);
    metric_add(METRIC_LANE_BYTES, len);
    if (!lane->push)
        free(bytes); /* a test's lane */
    else if (bus_push_send(lane->push, bytes, len))
        is_lost = true;
    else
        unread_sent(&lane->unread, len);
    if (is_lost) {
        lane->is_full = true;
        metric_add(METRIC_LANE_ENVELOPES_LOST, 1);
        log_limited(LOG_WARN, "lane has no room", F_STR("to", lane->name));
        loop_defer(lane->turn->loop, &lane->turn->task);
    }
    settle_queued(lane, is_lost);
    if (unread_wants_mark(&lane->unread, (uint64_t)lane->settings->unread_max))
        lane_put_hello(lane);
}

/* --- small pieces --- */

void lane_put_hello(struct lane *lane)
{
    uint64_t now_us = clock_wall_us();
    unread_mark(&lane->unread, now_us);
    envelope_put_hello(&lane->envelope, lane->settings->endpoint, now_us);
    lane_mark_dirty(lane);
}

void lane_put_waiting_pokes(struct lane *lane)
{
    if (lane->pokes.count > 0 && lane_is_reachable(lane, lane->generation) &&
        pokes_send(&lane->pokes, lane->generation, &lane->envelope) > 0)
        lane_mark_dirty(lane);
}

void lane_poke(struct lane *lane, uint64_t generation, struct push_str user, struct push_str device)
{
    if (lane_is_reachable(lane, generation)) {
        envelope_put_poke(&lane->envelope, user, device);
        lane_mark_dirty(lane);
    } else if (lane->is_live && generation < lane->generation) {
        metric_add(METRIC_POKES_DROPPED, 1);
    } else {
        pokes_add(&lane->pokes, generation, user, device, loop_now_ms(lane->turn->loop));
    }
}

/* --- lives --- */

static void on_room(void *arg)
{
    struct lane *lane = arg;
    MAGIC_CHECK(lane, LANE_MAGIC);
    lane->is_full = false;
    lane_put_waiting_pokes(lane);
    loop_defer(lane->turn->loop, &lane->turn->task);
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
    lane->unread = (struct unread){0}; /* what was under way on another connection is lost */
    lane_put_hello(lane);
    lane_put_waiting_pokes(lane);
}

struct lane *lane_new(const struct lanes_settings *settings, struct lane_turn *turn, uint32_t number, const char *name,
                      size_t len)
{
    struct lane *lane = xcalloc(1, sizeof(*lane));
    lane->magic = LANE_MAGIC;
    lane->settings = settings;
    lane->turn = turn;
    lane->number = number;
    lane->name = xstrndup(name, len);
    envelope_init(&lane->envelope);
    list_init(&lane->dirty_link);
    list_init(&lane->slots);
    lane_queue_init(&lane->queue);
    return lane;
}

void lane_free(struct lane **lane_p)
{
    struct lane *lane = *lane_p;
    if (!lane)
        return;
    CHECK(lane->messages == 0 && lane_queue_count(&lane->queue) == 0);
    if (lane->is_live)
        lane_close(lane);
    pokes_release(&lane->pokes);
    lane->magic = 0;
    free(lane->name);
    free(lane);
    *lane_p = NULL;
}

enum err lane_open(struct lane *lane, struct bus *bus, uint64_t generation, const char *endpoint)
{
    const struct lanes_settings *settings = lane->settings;
    enum err err = ERR_OK;
    if (bus)
        err = bus_push_connect(bus, endpoint, (int)settings->hwm, on_event, on_room, lane, &lane->push);
    if (err)
        return err;
    lane->generation = generation;
    lane->is_live = true;
    lane->is_full = false;
    lane->unread = (struct unread){0};
    lane->is_connected = !bus; /* a test's lane has nothing to connect */
    lane->heard_ms = loop_now_ms(lane->turn->loop);
    envelope_open(&lane->envelope, settings->router, settings->generation, lane->name, generation);
    return ERR_OK;
}

void lane_close(struct lane *lane)
{
    lane->is_live = false;
    list_remove(&lane->dirty_link);
    envelope_close(&lane->envelope);
    bus_push_free(&lane->push);
}

/* --- messages --- */

static void take_on(struct lane *lane, const struct slot *slot)
{
    lane->messages++;
    lane->bytes += slot->bytes;
    lane->turn->messages++;
}

void lane_send(struct lane *lane, const struct record *record, const struct lane_target *to, struct slot *slot)
{
    envelope_add(&lane->envelope, record, to, slot);
    list_push(&lane->slots, &slot->lane_link);
    slot->is_queued = true;
    lane->queued++;
    take_on(lane, slot);
    lane_mark_dirty(lane);
}

void lane_wait(struct lane *lane, const struct record *record, const struct lane_target *to, struct slot *slot)
{
    lane_queue_put(&lane->queue, record, to, slot);
    lane->turn->waiting++;
    metric_add(METRIC_LANE_WAITED, 1);
}

void lane_released(struct lane *lane, struct slot *slot)
{
    if (slot->waiting) {
        lane_queue_drop(&lane->queue, slot);
        lane->turn->waiting--;
        return;
    }
    CHECK(lane->messages > 0 && lane->bytes >= slot->bytes);
    lane->messages--;
    lane->bytes -= slot->bytes;
    lane->turn->messages--;
    if (slot->is_queued) {
        envelope_pack(&lane->envelope); /* the record may go now, before the end of the turn */
        slot->is_queued = false;
        lane->queued--;
    }
    list_remove(&slot->lane_link);
    if (lane_queue_count(&lane->queue) > 0)
        loop_defer(lane->turn->loop, &lane->turn->task);
}

void lane_forget(struct lane *lane, const struct record *record)
{
    for (struct slot *slot; (slot = lane_queue_find(&lane->queue, record));) {
        lane_queue_drop(&lane->queue, slot);
        lane->turn->waiting--;
        list_push_front(&lane->slots, &slot->lane_link); /* the last ones are those that ZeroMQ does not have */
        take_on(lane, slot);
    }
}
