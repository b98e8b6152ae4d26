#include "gateway/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/admin.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/net.h"
#include "common/redis_script.h"
#include "gateway/metrics.h"
#include "gateway/worker.h"

enum {
    MASTER_MAGIC = 0x3A570001,
    POLL_MS = 50,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 10000,
    STEADY_MS = 10000,      /* alive for so long: the next back-off starts small again */
    KILL_AFTER_MS = 3000,   /* behind gateway.stop_timeout */
    REDIS_PATIENCE_MS = 500 /* for the last releases of leases */
};

struct slot {
    pid_t pid; /* 0: not running */
    uint64_t generation;
    uint64_t started_ms, start_at_ms, backoff_ms;
};

struct master {
    uint32_t magic;
    bool is_stopping, is_ready_told, is_done;
    const struct gateway_settings *settings;
    char admin_address[NET_HOST_MAX + 16];
    struct loop *loop;
    struct loop_signal *signals[4];
    struct loop_timer *poll;
    struct admin *admin;
    struct redis *redis;
    uint64_t kill_at_ms, done_at_ms;
    unsigned slot_count;
    struct slot *slots;
};

static struct master *master_of(void *arg)
{
    struct master *m = arg;
    MAGIC_CHECK(m, MASTER_MAGIC);
    return m;
}

static unsigned running(const struct master *m)
{
    unsigned count = 0;
    for (unsigned i = 0; i < m->slot_count; i++)
        count += m->slots[i].pid != 0;
    return count;
}

static void signal_all(const struct master *m, int signo)
{
    for (unsigned i = 0; i < m->slot_count; i++)
        if (m->slots[i].pid)
            kill(m->slots[i].pid, signo);
}

/* --- workers come ----------------------------------------------------------------------------------------------------
 */

static void free_parts(struct master *m)
{
    loop_timer_free(&m->poll);
    for (size_t i = 0; i < sizeof m->signals / sizeof m->signals[0]; i++)
        loop_signal_free(&m->signals[i]);
    redis_free(&m->redis);
    admin_free(&m->admin);
    loop_free(&m->loop);
    free(m->slots);
    m->slots = NULL;
}

/* What the child inherited goes, without a word to the other side: it is still the master's. */
static int run_worker(struct master *m, unsigned i)
{
    struct worker_start start = {
        .settings = m->settings,
        .slot = i,
        .generation = m->slots[i].generation,
        .admin = m->admin_address,
        .master = getppid(),
    };
    loop_after_fork(m->loop);
    admin_after_fork(&m->admin);
    free_parts(m);
    return worker_run(&start);
}

/* True in the child, with its status once it has ended. */
static bool start_worker(struct master *m, unsigned i, int *status_r)
{
    struct slot *slot = &m->slots[i];
    uint64_t now_ms = clock_wall_ms();
    slot->generation = now_ms > slot->generation ? now_ms : slot->generation + 1;
    slot->started_ms = clock_mono_ms();
    pid_t pid = fork();
    if (pid == 0) {
        *status_r = run_worker(m, i);
        return true;
    }
    if (pid < 0) {
        log_error("cannot fork", F_ERRNO(errno));
        slot->start_at_ms = slot->started_ms + BACKOFF_MAX_MS;
        return false;
    }
    slot->pid = pid;
    metric_use_block(i);
    metric_add(METRIC_WORKER_STARTS, 1);
    metric_use_block(0);
    log_info("worker forked", F_UINT("slot", i), F_INT("pid", pid), F_UINT("generation", slot->generation));
    return false;
}

static bool is_due(const struct master *m, unsigned i)
{
    return !m->is_stopping && m->slots[i].pid == 0 && m->slots[i].start_at_ms <= clock_mono_ms();
}

/* Outside of a turn: the child gives the inherited loop back. True in a child. */
static bool start_due(struct master *m, int *status_r)
{
    for (unsigned i = 0; i < m->slot_count; i++)
        if (is_due(m, i) && start_worker(m, i, status_r))
            return true;
    return false;
}

/* --- workers go ------------------------------------------------------------------------------------------------------
 */

/* Routers and registries learn of the death within milliseconds instead of the lease's life. */
static void release_lease(struct master *m, unsigned i)
{
    char instance[INSTANCE_LEN_MAX + 1], key[INSTANCE_LEN_MAX + 16], generation[24];
    worker_instance(m->settings, i, instance);
    snprintf(key, sizeof key, "herald:lease:%s", instance);
    snprintf(generation, sizeof generation, "%llu", (unsigned long long)m->slots[i].generation);
    const char *words[] = {key, "herald:instances", instance, generation};
    const size_t lens[] = {strlen(key), strlen(words[1]), strlen(instance), strlen(generation)};
    if (redis_script(m->redis, REDIS_SCRIPT_LEASE_RELEASE, NULL, NULL, 2, 4, words, lens) != ERR_OK)
        log_debug("lease of a dead worker not released", F_STR("instance", instance));
}

static void worker_ended(struct master *m, unsigned i, int status)
{
    struct slot *slot = &m->slots[i];
    uint64_t now_ms = clock_mono_ms();
    bool is_steady = now_ms - slot->started_ms >= STEADY_MS;
    slot->backoff_ms = is_steady || slot->backoff_ms == 0 ? BACKOFF_MIN_MS : slot->backoff_ms * 2;
    if (slot->backoff_ms > BACKOFF_MAX_MS)
        slot->backoff_ms = BACKOFF_MAX_MS;
    slot->start_at_ms = now_ms + slot->backoff_ms;
    enum log_level level = m->is_stopping && status == 0 ? LOG_INFO : LOG_ERROR;
    log_at(level, "worker ended", F_UINT("slot", i), F_INT("pid", slot->pid),
           F_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
           F_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    slot->pid = 0;
    metric_clear_gauges(i);
    release_lease(m, i);
}

static void on_child(void *arg)
{
    struct master *m = master_of(arg);
    for (unsigned i = 0; i < m->slot_count; i++) {
        int status;
        if (m->slots[i].pid && waitpid(m->slots[i].pid, &status, WNOHANG) == m->slots[i].pid)
            worker_ended(m, i, status);
    }
}

/* --- stop, reload, readiness -----------------------------------------------------------------------------------------
 */

static void on_stop(void *arg)
{
    struct master *m = master_of(arg);
    if (m->is_stopping)
        return;
    log_info("gateway stops");
    daemon_notify("STOPPING=1");
    m->is_stopping = true;
    m->kill_at_ms = clock_mono_ms() + (uint64_t)m->settings->stop_timeout_ms + KILL_AFTER_MS;
    signal_all(m, SIGTERM);
}

static void on_reload(void *arg)
{
    struct master *m = master_of(arg);
    daemon_reload_log();
    signal_all(m, SIGHUP);
}

static bool is_all(const struct master *m, unsigned metric)
{
    for (unsigned i = 0; i < m->slot_count; i++)
        if (metric_read((int)i, metric, 0) != 1)
            return false;
    return true;
}

static const char *why_not(unsigned worker)
{
    if (!metric_read((int)worker, METRIC_REDIS_UP, 0))
        return "redis is away";
    if (metric_read((int)worker, METRIC_MEMORY_LEVEL, 0) >= PRESSURE_REFUSE)
        return "short of memory: refuses new connections";
    if (metric_read((int)worker, METRIC_WORKER_LISTENING, 0) && !metric_read((int)worker, METRIC_CANARY_PASSING, 0))
        return "no canary came through: routers or Kafka do not deliver";
    return "not listening, or no lease";
}

static bool is_ready(void *arg, struct buf *why)
{
    struct master *m = master_of(arg);
    if (m->is_stopping)
        buf_add_str(why, "stopping");
    for (unsigned i = 0; i < m->slot_count && !m->is_stopping; i++)
        if (metric_read((int)i, METRIC_WORKER_READY, 0) != 1)
            buf_printf(why, "%sworker %u: %s", why->len ? ", " : "", i, why_not(i));
    return why->len == 0;
}

static void watch_stop(struct master *m)
{
    uint64_t now_ms = clock_mono_ms();
    if (running(m) > 0) {
        if (now_ms >= m->kill_at_ms) {
            log_warn("workers did not stop in time", F_UINT("workers", running(m)));
            signal_all(m, SIGKILL);
            m->kill_at_ms = now_ms + KILL_AFTER_MS;
        }
        return;
    }
    if (m->done_at_ms == 0)
        m->done_at_ms = now_ms + REDIS_PATIENCE_MS;
    if (redis_pending(m->redis) == 0 || now_ms >= m->done_at_ms) {
        m->is_done = true;
        loop_stop(m->loop);
    }
}

static void on_poll(void *arg)
{
    struct master *m = master_of(arg);
    if (m->is_stopping) {
        watch_stop(m);
        return;
    }
    if (!m->is_ready_told && is_all(m, METRIC_WORKER_LISTENING)) {
        m->is_ready_told = true;
        log_info("gateway started", F_UINT("workers", m->slot_count), F_STR("listen", m->settings->ws_listen),
                 F_STR("admin", m->admin_address));
        daemon_notify("READY=1");
    }
    for (unsigned i = 0; i < m->slot_count; i++)
        if (is_due(m, i))
            loop_stop(m->loop); /* master_run() forks outside of the turn */
}

static void on_redis_state(void *arg, bool is_up)
{
    (void)arg;
    (void)is_up;
}

/* --- its life --------------------------------------------------------------------------------------------------------
 */

/* SO_REUSEPORT lets anybody of this user join the port, and every worker would fail alone: so look once before. */
static bool can_listen(const struct gateway_settings *settings)
{
    char host[NET_HOST_MAX + 1];
    uint16_t port;
    int fd;
    if (net_split(settings->ws_listen, host, &port) == ERR_OK && net_listen(host, port, 1, false, &fd) == ERR_OK) {
        close(fd);
        return true;
    }
    log_error("cannot listen", F_STR("address", settings->ws_listen), F_ERRNO(errno));
    return false;
}

static bool start_parts(struct master *m)
{
    const struct gateway_settings *settings = m->settings;
    m->loop = loop_new();
    if (!can_listen(settings))
        return false;
    if (admin_new(m->loop, &settings->daemon.admin, is_ready, m, &m->admin) != ERR_OK) {
        log_error("cannot listen", F_STR("admin.listen", settings->daemon.admin.listen), F_ERRNO(errno));
        return false;
    }
    net_advertise(settings->daemon.admin.listen, settings->node, admin_port(m->admin), m->admin_address,
                  sizeof m->admin_address);
    m->redis = redis_new(m->loop, &settings->redis, "master", on_redis_state, m);
    m->signals[0] = loop_signal_new(m->loop, SIGTERM, on_stop, m);
    m->signals[1] = loop_signal_new(m->loop, SIGINT, on_stop, m);
    m->signals[2] = loop_signal_new(m->loop, SIGHUP, on_reload, m);
    m->signals[3] = loop_signal_new(m->loop, SIGCHLD, on_child, m);
    m->poll = loop_timer_new(m->loop, on_poll, m);
    loop_timer_start(m->poll, POLL_MS, POLL_MS);
    return true;
}

static int run(struct master *m)
{
    int status = 0;
    while (!m->is_done) {
        if (start_due(m, &status))
            return status;
        loop_run(m->loop);
    }
    free_parts(m);
    log_info("gateway ended");
    return 0;
}

int master_run(const struct gateway_settings *settings)
{
    struct master m = {.magic = MASTER_MAGIC, .settings = settings, .slot_count = (unsigned)settings->workers};
    metric_setup(gateway_metrics, m.slot_count);
    m.slots = xcalloc(m.slot_count, sizeof *m.slots);
    if (start_parts(&m))
        return run(&m);
    free_parts(&m);
    return 1;
}
