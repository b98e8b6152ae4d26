#include "gateway/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/bus.h"
#include "common/check.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/net.h"
#include "gateway/canary/canary.h"
#include "gateway/link/box_fates.h"
#include "gateway/metrics.h"
#include "gateway/session/lapse.h"

enum { WORKER_MAGIC = 0x70120001, POLL_MS = 100, GOODBYE_MIN_MS = 150, GOODBYE_MAX_MS = 1000, URL_LEN_MAX = 512 };

/* STOPPING: the connections are closing. LEAVING: they are gone; the last words to Redis and routers are on their way.
 */
enum worker_state { WORKER_RUNNING, WORKER_STOPPING, WORKER_LEAVING };

struct worker {
    uint32_t magic;
    enum worker_state state;
    int status;
    const struct worker_start *start;
    const struct gateway_settings *settings;
    char instance[INSTANCE_LEN_MAX + 1], endpoint[URL_LEN_MAX], url[URL_LEN_MAX];
    struct loop *loop;
    struct loop_signal *on_term, *on_int, *on_hup;
    struct loop_timer *poll;
    uint64_t until_ms, left_ms; /* STOPPING: at the most; LEAVING: since */
    int listener;
    struct redis *redis;
    struct lease *lease;
    struct bus *bus;
    struct inbox *inbox;
    struct peers *peers;
    struct returns *returns;
    struct upstream *upstream;
    struct box_fates *box_fates;
    struct auth *auth;
    struct canary *canary;
    struct sessions *sessions;
    struct conns *conns;
    struct relief *relief;
};

void worker_instance(const struct gateway_settings *settings, unsigned slot, char instance_r[INSTANCE_LEN_MAX + 1])
{
    snprintf(instance_r, INSTANCE_LEN_MAX + 1, "%s-%u", settings->node, slot);
}

/* --- between the layers ----------------------------------------------------------------------------------------------
 */

static void on_result(void *arg, void *receipt, const struct session_result *result)
{
    struct worker *w = arg;
    MAGIC_CHECK(w, WORKER_MAGIC);
    returns_report(w->returns, receipt, result);
}

static enum err on_upstream(void *arg, struct session *s, const struct upstream_request *request)
{
    struct worker *w = arg;
    MAGIC_CHECK(w, WORKER_MAGIC);
    return upstream_send(w->upstream, s, request);
}

static void on_letter(void *arg, const char *user, const char *device, const struct letter *letter)
{
    struct worker *w = arg;
    MAGIC_CHECK(w, WORKER_MAGIC);
    box_fates_tell(w->box_fates, user, device, letter);
}

static const struct session_events session_events = {on_result, on_upstream, on_letter};

/* --- the lease and readiness -----------------------------------------------------------------------------------------
 */

static void tell_ready(struct worker *w)
{
    bool is_up = redis_is_up(w->redis);
    bool is_renewed = w->lease && lease_renewed_ms(w->lease) + LEASE_TTL_MS > loop_wall_ms(w->loop);
    bool is_listening = w->listener >= 0 && w->state == WORKER_RUNNING;
    metric_set(METRIC_REDIS_UP, is_up);
    metric_set(METRIC_WORKER_LISTENING, is_listening);
    bool is_passing = w->canary && canary_is_well(w->canary), has_memory = w->relief && relief_is_well(w->relief);
    metric_set(METRIC_WORKER_READY, is_up && is_renewed && is_listening && is_passing && has_memory);
}

static void on_redis_state(void *arg, bool is_up)
{
    struct worker *w = arg;
    MAGIC_CHECK(w, WORKER_MAGIC);
    if (w->state == WORKER_RUNNING) {
        sessions_redis_state(w->sessions, is_up);
        if (is_up)
            lease_renew(w->lease);
    }
    tell_ready(w);
}

static void on_lease_vanished(void *arg)
{
    struct worker *w = arg;
    MAGIC_CHECK(w, WORKER_MAGIC);
    if (w->state == WORKER_RUNNING)
        sessions_lease_vanished(w->sessions);
}

static void fill_lease(void *arg, Herald__V1__Lease *lease)
{
    struct worker *w = arg;
    MAGIC_CHECK(w, WORKER_MAGIC);
    lease->connections = 0;
    for (int state = 0; w->conns && state < CONN_STATE_COUNT; state++)
        lease->connections += conns_count(w->conns, (enum conn_state)state);
    lease->sessions = w->sessions->count - w->sessions->own_count;
    lease->users = users_count(w->sessions->users) - w->sessions->own_count;
    lease->messages_in = metric_get_labelled(METRIC_WS_FRAMES_IN, WS_FRAME_TEXT) +
                         metric_get_labelled(METRIC_WS_FRAMES_IN, WS_FRAME_BINARY);
    lease->messages_out = metric_get(METRIC_WS_FRAMES_OUT);
    lease->draining = w->state != WORKER_RUNNING;
}

/* --- stopping --------------------------------------------------------------------------------------------------------
 */

static void stop(struct worker *w, int status)
{
    if (w->state != WORKER_RUNNING)
        return;
    log_info("worker stops", F_UINT("sessions", w->sessions->count));
    w->state = WORKER_STOPPING;
    w->status = status;
    w->until_ms = loop_now_ms(w->loop) + (uint64_t)w->settings->stop_timeout_ms;
    conns_stop_accepting(w->conns);
    close(w->listener);
    w->listener = -1;
    tell_ready(w);
    if (status == 0)
        lease_renew(w->lease); /* says that it is draining; a lost lease says nothing any more */
    canary_stop(w->canary);
    sessions_end_all(w->sessions);
    conns_close_all(w->conns, CLOSE_SHUTDOWN);
}

static void leave(struct worker *w)
{
    w->state = WORKER_LEAVING;
    w->left_ms = loop_now_ms(w->loop);
    relief_free(&w->relief);
    conns_free(&w->conns);
    lease_free(&w->lease);
    peers_flush(w->peers);
}

static bool has_connections(const struct worker *w)
{
    for (int state = 0; state < CONN_STATE_COUNT; state++)
        if (conns_count(w->conns, (enum conn_state)state) > 0)
            return true;
    return false;
}

static void on_poll(void *arg)
{
    struct worker *w = arg;
    MAGIC_CHECK(w, WORKER_MAGIC);
    uint64_t now_ms = loop_now_ms(w->loop);
    if (w->state == WORKER_RUNNING) {
        tell_ready(w);
    } else if (w->state == WORKER_STOPPING) {
        if (!has_connections(w) || now_ms >= w->until_ms)
            leave(w);
    } else {
        uint64_t passed_ms = now_ms - w->left_ms;
        if (passed_ms >= GOODBYE_MAX_MS || (passed_ms >= GOODBYE_MIN_MS && redis_pending(w->redis) == 0))
            loop_stop(w->loop);
    }
}

static void on_lease_lost(void *arg)
{
    struct worker *w = arg;
    MAGIC_CHECK(w, WORKER_MAGIC);
    log_error("another worker lives under this name with a higher generation", F_STR("instance", w->instance),
              F_UINT("generation", w->start->generation));
    stop(w, 1);
}

static void on_stop_signal(void *arg)
{
    stop(arg, 0);
}

static void on_ignored_signal(void *arg)
{
    (void)arg; /* Ctrl-C reaches the whole group: it is the master that decides, and sends SIGTERM */
}

static void on_reload(void *arg)
{
    (void)arg;
    daemon_reload_log();
}

/* --- starting --------------------------------------------------------------------------------------------------------
 */

static bool start_listener(struct worker *w)
{
    char host[NET_HOST_MAX + 1];
    uint16_t port;
    const struct gateway_settings *settings = w->settings;
    const struct net_tuning tuning = {(int)settings->ws_user_timeout_ms, (int)settings->ws_notsent_lowat};
    if (net_split(settings->ws_listen, host, &port) != ERR_OK ||
        net_listen(host, port, (int)settings->ws_backlog, true, &w->listener) != ERR_OK ||
        net_tune(w->listener, &tuning) != ERR_OK) {
        log_error("cannot listen", F_STR("address", settings->ws_listen), F_ERRNO(errno));
        w->listener = -1;
        return false;
    }
    if (*settings->ws_url)
        snprintf(w->url, sizeof w->url, "%s", settings->ws_url);
    else
        snprintf(w->url, sizeof w->url, "ws://%s:%u%s", settings->node, net_local_port(w->listener),
                 settings->conn.path);
    return true;
}

static bool start_link(struct worker *w)
{
    const struct gateway_settings *settings = w->settings;
    struct inbox_parts parts = {w->loop, w->bus, w->instance, w->start->generation};
    if (inbox_new(&parts, &settings->inbox, &w->inbox) != ERR_OK) {
        log_error("cannot take envelopes", F_STR("endpoint", settings->inbox.listen), F_ERRNO(errno));
        return false;
    }
    if (*settings->link_advertise)
        snprintf(w->endpoint, sizeof w->endpoint, "tcp://%s:%u", settings->link_advertise, inbox_port(w->inbox));
    else
        net_advertise(settings->inbox.listen, settings->node, inbox_port(w->inbox), w->endpoint, sizeof w->endpoint);
    w->peers = peers_new(w->loop, w->bus, &settings->peers, w->instance, w->start->generation, w->endpoint);
    w->returns = returns_new(w->loop);
    w->upstream = upstream_new(w->loop, w->peers, &settings->upstream);
    w->box_fates = box_fates_new(w->loop, w->peers, (uint32_t)settings->box_fates_max);
    return true;
}

static void start_sessions(struct worker *w)
{
    w->sessions = sessions_new(&(struct sessions_parts){
        .loop = w->loop,
        .settings = &w->settings->session,
        .auth = w->auth,
        .redis = w->redis,
        .redis_options = &w->settings->redis,
        .instance = w->instance,
        .generation = w->start->generation,
        .events = &session_events,
        .arg = w,
    });
    inbox_start(w->inbox, w->peers, w->returns, w->upstream, w->box_fates, w->sessions);
    w->conns = conns_new(w->loop, &w->settings->conn, &sessions_conn_events, w->sessions);
    sessions_start(w->sessions, w->conns);
    w->relief = relief_new(&(struct relief_parts){
        .loop = w->loop,
        .settings = &w->settings->relief,
        .workers = (uint32_t)w->settings->workers,
        .sessions = w->sessions,
        .conns = w->conns,
    });
    const struct canary_parts parts = {
        w->loop, w->peers, w->conns, w->settings->conn.path, w->instance, w->start->generation};
    w->canary = canary_new(&parts, &w->settings->canary);
}

static void start_lease(struct worker *w)
{
    Herald__V1__Lease body = HERALD__V1__LEASE__INIT;
    body.instance = w->instance;
    body.generation = w->start->generation;
    body.role = HERALD__V1__ROLE__ROLE_GATEWAY;
    body.endpoint = w->endpoint;
    body.url = w->url;
    body.admin = (char *)w->start->admin;
    body.version = (char *)daemon_version;
    body.started_ms = loop_wall_ms(w->loop);
    w->lease = lease_new(w->loop, w->redis, &body, fill_lease, on_lease_lost, w);
    lease_on_vanished(w->lease, on_lease_vanished);
}

static bool start_parts(struct worker *w)
{
    w->loop = loop_new();
    w->on_term = loop_signal_new(w->loop, SIGTERM, on_stop_signal, w);
    w->on_int = loop_signal_new(w->loop, SIGINT, on_ignored_signal, w);
    w->on_hup = loop_signal_new(w->loop, SIGHUP, on_reload, w);
    w->bus = bus_new(w->loop);
    if (auth_new(&w->settings->auth, &w->auth) != ERR_OK || !start_listener(w) || !start_link(w))
        return false;
    w->redis = redis_new(w->loop, &w->settings->redis, "commands", on_redis_state, w);
    start_sessions(w);
    start_lease(w);
    w->poll = loop_timer_new(w->loop, on_poll, w);
    loop_timer_start(w->poll, POLL_MS, POLL_MS);
    conns_start_accepting(w->conns, w->listener);
    tell_ready(w);
    return true;
}

/* Sessions report to the returns, which send to the peers; Redis' callbacks name sessions: so in this order. */
static void free_parts(struct worker *w)
{
    if (w->sessions)
        sessions_end_all(w->sessions);
    relief_free(&w->relief);
    conns_free(&w->conns);
    lease_free(&w->lease);
    redis_free(&w->redis);
    upstream_free(&w->upstream);
    box_fates_free(&w->box_fates);
    inbox_free(&w->inbox);
    canary_free(&w->canary);
    sessions_free(&w->sessions);
    returns_free(&w->returns);
    peers_free(&w->peers);
    bus_free(&w->bus);
    auth_free(&w->auth);
    loop_timer_free(&w->poll);
    loop_signal_free(&w->on_term);
    loop_signal_free(&w->on_int);
    loop_signal_free(&w->on_hup);
    loop_free(&w->loop);
}

static bool follow_master(const struct worker_start *start)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    return getppid() == (pid_t)start->master; /* else it died before that took effect */
}

int worker_run(const struct worker_start *start)
{
    struct worker w = {.magic = WORKER_MAGIC, .start = start, .settings = start->settings, .listener = -1};
    worker_instance(start->settings, start->slot, w.instance);
    metric_use_block(start->slot);
    metric_set(METRIC_WORKER_GENERATION, (int64_t)start->generation);
    daemon_set_instance(w.instance);
    srandom((unsigned)(start->generation ^ (uint64_t)getpid() << 16));
    if (!follow_master(start))
        return 0;
    if (start_parts(&w)) {
        log_info("worker started", F_UINT("generation", start->generation), F_STR("listen", start->settings->ws_listen),
                 F_STR("endpoint", w.endpoint));
        loop_run(w.loop);
    } else {
        w.status = 1;
    }
    free_parts(&w);
    log_info("worker ended", F_INT("status", w.status));
    return w.status;
}
