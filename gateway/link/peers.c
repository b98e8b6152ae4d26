#include "gateway/link/peers.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/link.h"
#include "common/list.h"
#include "common/log.h"
#include "common/table.h"
#include "gateway/metrics.h"

enum {
    PEERS_MAGIC = 0x9EE20001,
    PEER_MAGIC = 0x9EE20002,
    SWEEP_MS = 1000,
    SLEPT_MS = 2 * SWEEP_MS,
    NAME_LEN_MAX = 128,
    ENDPOINT_LEN_MAX = 256
};

struct peer {
    uint32_t magic;
    uint32_t refs;
    bool is_gone, is_connected, answers_fates;
    struct list link; /* peers.list */
    struct peers *peers;
    char *name, *endpoint;
    uint64_t generation, heard_ms;
    struct bus_push *push;
    struct link_out out;
};

struct peers {
    uint32_t magic;
    uint32_t count;
    struct loop *loop;
    struct bus *bus;
    struct peers_settings settings;
    const char *self, *endpoint;
    uint64_t generation;
    struct list list;
    struct loop_task flush;
    struct loop_timer *unhurried; /* runs while good news waits for company */
    bool is_unhurried_running;
    struct loop_timer *sweep;
    uint64_t swept_ms;
};

/* --- one router ------------------------------------------------------------------------------------------------------
 */

static void on_event(void *arg, enum bus_event event)
{
    struct peer *peer = arg;
    MAGIC_CHECK(peer, PEER_MAGIC);
    peer->is_connected = event == BUS_CONNECTED;
    if (peer->is_connected)
        loop_defer(peer->peers->loop, &peer->peers->flush);
}

static enum err peer_new(struct peers *peers, const char *name, uint64_t generation, const char *endpoint)
{
    struct bus_push *push;
    struct peer *peer = xcalloc(1, sizeof *peer);
    enum err err = bus_push_connect(peers->bus, endpoint, (int)peers->settings.hwm, on_event, NULL, peer, &push);
    if (err != ERR_OK) {
        free(peer);
        return err;
    }
    peer->magic = PEER_MAGIC;
    peer->refs = 1;
    peer->peers = peers;
    peer->name = xstrdup(name);
    peer->endpoint = xstrdup(endpoint);
    peer->generation = generation;
    peer->push = push;
    link_out_init(&peer->out, peers->self, peers->generation, peer->name, generation);
    list_push(&peers->list, &peer->link);
    metric_set(METRIC_LINK_PEERS, ++peers->count);
    log_info("router connected", F_STR("router", name), F_UINT("generation", generation), F_STR("endpoint", endpoint));
    return ERR_OK;
}

struct peer *peer_ref(struct peer *peer)
{
    peer->refs++;
    return peer;
}

void peer_unref(struct peer **peer)
{
    struct peer *p = *peer;
    *peer = NULL;
    if (--p->refs > 0)
        return;
    CHECK(p->is_gone);
    p->magic = 0;
    free(p->name);
    free(p->endpoint);
    free(p);
}

bool peer_answers_fates(const struct peer *peer)
{
    return peer->answers_fates;
}

bool peer_is_gone(const struct peer *peer)
{
    return peer->is_gone;
}

static void drop(struct peer *peer, const char *why)
{
    struct peers *peers = peer->peers;
    log_info("router dropped", F_STR("router", peer->name), F_UINT("generation", peer->generation), F_STR("why", why));
    metric_add(METRIC_RESULTS_LOST, peer->out.pieces);
    peer->is_gone = true;
    bus_push_free(&peer->push);
    link_out_release(&peer->out);
    list_remove(&peer->link);
    metric_set(METRIC_LINK_PEERS, --peers->count);
    peer_unref(&peer);
}

static void send_collected(struct peer *peer)
{
    size_t len;
    uint32_t pieces = peer->out.pieces;
    char *bytes = peer->is_connected ? link_take(&peer->out, &len) : NULL;
    if (!bytes)
        return;
    if (bus_push_send(peer->push, bytes, len) == ERR_OK) {
        metric_add(METRIC_LINK_ENVELOPES_OUT, 1);
        return;
    }
    metric_add(METRIC_RESULTS_LOST, pieces);
    log_limited(LOG_WARN, "lane to a router is full, an envelope is lost", F_STR("router", peer->name),
                F_UINT("pieces", pieces));
}

static bool can_collect(const struct peer *peer)
{
    return !peer->is_gone && (peer->is_connected || peer->out.packed.len < (size_t)peer->peers->settings.held_max);
}

static void collected(struct peer *peer)
{
    if (peer->out.packed.len >= (size_t)peer->peers->settings.envelope_max)
        send_collected(peer);
    else
        loop_defer(peer->peers->loop, &peer->peers->flush);
}

/* What went well moves only the books of the router, so it waits for company: each envelope wakes two threads here and
 * two there, which at 20,000 messages a second was a tenth of what a message costs. What failed has to be sent again.
 */
static bool is_urgent(const Herald__V1__Result *result)
{
    return result->kind != HERALD__V1__RESULT_KIND__RESULT_WRITTEN &&
           result->kind != HERALD__V1__RESULT_KIND__RESULT_ACKED;
}

static void collected_unhurried(struct peer *peer)
{
    struct peers *peers = peer->peers;
    if (peer->out.packed.len >= (size_t)peers->settings.envelope_max)
        send_collected(peer);
    else if (!peers->is_unhurried_running) {
        peers->is_unhurried_running = true;
        loop_timer_start(peers->unhurried, (uint64_t)peers->settings.results_delay_ms, 0);
    }
}

bool peer_put_result(struct peer *peer, const Herald__V1__Result *result)
{
    if (!can_collect(peer))
        return false;
    link_put_result(&peer->out, result);
    if (is_urgent(result) || peer->peers->settings.results_delay_ms == 0)
        collected(peer);
    else
        collected_unhurried(peer);
    return true;
}

bool peer_put_upstream(struct peer *peer, const Herald__V1__Upstream *upstream)
{
    if (!can_collect(peer))
        return false;
    link_put_upstream(&peer->out, upstream);
    collected(peer);
    return true;
}

bool peer_put_canary(struct peer *peer, const Herald__V1__CanaryRequest *request)
{
    if (!can_collect(peer))
        return false;
    link_put_canary(&peer->out, request);
    collected(peer);
    return true;
}

bool peer_put_box_fate(struct peer *peer, const Herald__V1__BoxFate *fate)
{
    if (!can_collect(peer))
        return false;
    link_put_box_fate(&peer->out, fate);
    collected(peer);
    return true;
}

/* --- all of them -----------------------------------------------------------------------------------------------------
 */

static void flush(void *arg)
{
    struct peers *peers = arg;
    MAGIC_CHECK(peers, PEERS_MAGIC);
    list_each (it, &peers->list)
        send_collected(container_of(it, struct peer, link));
}

static void unhurried(void *arg)
{
    struct peers *peers = arg;
    MAGIC_CHECK(peers, PEERS_MAGIC);
    peers->is_unhurried_running = false;
    flush(peers);
}

void peers_flush(struct peers *peers)
{
    flush(peers);
}

static void sweep(void *arg)
{
    struct peers *peers = arg;
    MAGIC_CHECK(peers, PEERS_MAGIC);
    uint64_t now_ms = loop_now_ms(peers->loop);
    /* this process stood still: what the routers said meanwhile is still to be read. Dropped now, their first envelopes
     * would be refused and later ones, behind their next hello, taken: messages would overtake others */
    bool has_slept = now_ms - peers->swept_ms > SLEPT_MS;
    peers->swept_ms = now_ms;
    list_each (it, &peers->list) {
        struct peer *peer = container_of(it, struct peer, link);
        if (has_slept)
            peer->heard_ms = now_ms;
        else if (now_ms - peer->heard_ms > (uint64_t)peers->settings.silence_ms)
            drop(peer, "silent");
    }
}

struct peer *peers_named(struct peers *peers, const char *name)
{
    list_each (it, &peers->list) { /* routers are few */
        struct peer *peer = container_of(it, struct peer, link);
        if (strcmp(peer->name, name) == 0)
            return peer;
    }
    return NULL;
}

struct peer *peers_find(struct peers *peers, const char *name, uint64_t generation)
{
    struct peer *peer = peers_named(peers, name);
    return peer && peer->generation == generation ? peer : NULL;
}

static void answer(struct peer *peer, const Herald__V1__Hello *hello)
{
    struct peers *peers = peer->peers;
    if (!peer->is_connected && peer->out.pieces > 0)
        return; /* one that waits is enough */
    Herald__V1__Hello mine = HERALD__V1__HELLO__INIT;
    mine.endpoint = (char *)peers->endpoint;
    mine.sent_us = clock_wall_us();
    mine.echo_us = hello->sent_us;
    link_put_hello(&peer->out, &mine);
    loop_defer(peers->loop, &peers->flush);
}

enum err peers_hello(struct peers *peers, const char *name, uint64_t generation, const Herald__V1__Hello *hello)
{
    size_t name_len = strlen(name), endpoint_len = strlen(hello->endpoint);
    if (name_len == 0 || name_len > NAME_LEN_MAX || endpoint_len == 0 || endpoint_len > ENDPOINT_LEN_MAX)
        return ERR_INVALID;
    struct peer *peer = peers_named(peers, name);
    if (peer && generation < peer->generation)
        return ERR_REFUSED; /* the last words of a former life */
    if (peer && (generation > peer->generation || strcmp(peer->endpoint, hello->endpoint) != 0)) {
        drop(peer, "restarted");
        peer = NULL;
    }
    if (!peer) {
        if (peers->count >= (uint64_t)peers->settings.peers_max)
            return ERR_FULL;
        enum err err = peer_new(peers, name, generation, hello->endpoint);
        if (err != ERR_OK)
            return err;
        peer = peers_named(peers, name);
    }
    peer->heard_ms = loop_now_ms(peers->loop);
    peer->answers_fates = hello->answers_fates;
    answer(peer, hello);
    return ERR_OK;
}

/* The highest hash of key and router wins: only a router that comes or goes moves keys. */
struct peer *peers_pick(struct peers *peers, const char *key, size_t len)
{
    struct peer *best = NULL;
    uint64_t best_hash = 0, key_hash = table_hash(key, len);
    list_each (it, &peers->list) {
        struct peer *peer = container_of(it, struct peer, link);
        uint64_t both[2] = {key_hash, table_hash(peer->name, strlen(peer->name))};
        uint64_t hash = table_hash(both, sizeof both);
        if (!best || hash > best_hash) {
            best = peer;
            best_hash = hash;
        }
    }
    return best;
}

struct peers *peers_new(struct loop *loop, struct bus *bus, const struct peers_settings *settings, const char *self,
                        uint64_t generation, const char *endpoint)
{
    struct peers *peers = xcalloc(1, sizeof *peers);
    peers->magic = PEERS_MAGIC;
    peers->loop = loop;
    peers->bus = bus;
    peers->settings = *settings;
    peers->self = self;
    peers->generation = generation;
    peers->endpoint = endpoint;
    peers->swept_ms = loop_now_ms(loop);
    list_init(&peers->list);
    loop_task_init(&peers->flush, flush, peers);
    peers->unhurried = loop_timer_new(loop, unhurried, peers);
    peers->sweep = loop_timer_new(loop, sweep, peers);
    loop_timer_start(peers->sweep, SWEEP_MS, SWEEP_MS);
    return peers;
}

void peers_free(struct peers **peers)
{
    if (!*peers)
        return;
    list_each (it, &(*peers)->list)
        drop(container_of(it, struct peer, link), "stopping");
    loop_task_cancel((*peers)->loop, &(*peers)->flush);
    loop_timer_free(&(*peers)->unhurried);
    loop_timer_free(&(*peers)->sweep);
    free(*peers);
    *peers = NULL;
}
