#include "service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "log.h"
#include "net.h"

enum { SERVICE_MAGIC = 0x53455256, STOP_LOOK_MS = 20 };

struct service {
    uint32_t magic;
    struct loop *loop;
    const struct daemon_settings *settings;
    const struct service_parts *parts;
    void *arg;
    struct admin *admin;
    struct loop_signal *term, *interrupt, *hangup;
    struct loop_timer *stop_timer;
    char *id;
    uint64_t generation;
    uint64_t stopping_ms; /* since; monotonic */
    bool is_stopping, has_failed;
    lease_fill_fn *fill;
    void *fill_arg;
};

/* --- stopping --- */

static void look_stopped(void *arg)
{
    struct service *service = arg;
    MAGIC_CHECK(service, SERVICE_MAGIC);
    if (service->parts->has_stopped(service->arg, loop_now_ms(service->loop) - service->stopping_ms))
        loop_stop(service->loop);
}

static void stop(struct service *service)
{
    if (service->is_stopping)
        return;
    service->is_stopping = true;
    service->stopping_ms = loop_now_ms(service->loop);
    log_info("stopping");
    daemon_notify("STOPPING=1");
    service->parts->stop(service->arg);
    loop_timer_start(service->stop_timer, STOP_LOOK_MS, STOP_LOOK_MS);
}

static void on_signal(void *arg)
{
    struct service *service = arg;
    MAGIC_CHECK(service, SERVICE_MAGIC);
    if (service->is_stopping)
        loop_stop(service->loop);
    else
        stop(service);
}

void service_fail(struct service *service)
{
    service->has_failed = true;
    stop(service);
}

static void on_hangup(void *arg)
{
    (void)arg;
    daemon_reload_log();
}

/* --- what others see --- */

static bool is_ready(void *arg, struct buf *why)
{
    struct service *service = arg;
    MAGIC_CHECK(service, SERVICE_MAGIC);
    if (!service->is_stopping)
        return service->parts->is_ready(service->arg, why);
    buf_add_str(why, "stopping");
    return false;
}

static void on_fill(void *arg, Herald__V1__Lease *lease)
{
    struct service *service = arg;
    MAGIC_CHECK(service, SERVICE_MAGIC);
    lease->draining = service->is_stopping;
    if (service->fill)
        service->fill(service->fill_arg, lease);
}

static void on_lease_lost(void *arg)
{
    struct service *service = arg;
    MAGIC_CHECK(service, SERVICE_MAGIC);
    log_error("another process with this id has started: stopping", F_STR("id", service->id));
    service_fail(service);
}

struct lease *service_lease(struct service *service, struct redis *redis, Herald__V1__Role role, const char *endpoint,
                            lease_fill_fn *fill, void *arg)
{
    char address[NET_HOST_MAX + 16];
    Herald__V1__Lease body = HERALD__V1__LEASE__INIT;
    net_advertise(service->settings->admin.listen, NULL, admin_port(service->admin), address, sizeof(address));
    body.instance = service->id;
    body.generation = service->generation;
    body.role = role;
    body.endpoint = (char *)(uintptr_t)endpoint;
    body.admin = address;
    body.version = (char *)(uintptr_t)daemon_version;
    body.started_ms = service->generation;
    service->fill = fill;
    service->fill_arg = arg;
    return lease_new(service->loop, redis, &body, on_fill, on_lease_lost, service);
}

/* --- its life --- */

static bool start(struct service *service)
{
    service->loop = loop_new();
    service->generation = loop_wall_ms(service->loop);
    enum err err = admin_new(service->loop, &service->settings->admin, is_ready, service, &service->admin);
    if (err) {
        log_error("cannot listen", F_STR("admin.listen", service->settings->admin.listen), F_ERR(err));
        return false;
    }
    service->stop_timer = loop_timer_new(service->loop, look_stopped, service);
    service->arg = service->parts->start(service, service->settings);
    if (!service->arg)
        return false;
    service->term = loop_signal_new(service->loop, SIGTERM, on_signal, service);
    service->interrupt = loop_signal_new(service->loop, SIGINT, on_signal, service);
    service->hangup = loop_signal_new(service->loop, SIGHUP, on_hangup, service);
    return true;
}

static void release(struct service *service)
{
    loop_signal_free(&service->hangup);
    loop_signal_free(&service->interrupt);
    loop_signal_free(&service->term);
    if (service->arg)
        service->parts->end(service->arg);
    loop_timer_free(&service->stop_timer);
    admin_free(&service->admin);
    loop_free(&service->loop);
    free(service->id);
    service->magic = 0;
}

int service_run(const struct daemon_program *program, const struct service_parts *parts, int argc, char **argv)
{
    int status = daemon_start(program, argc, argv);
    if (status >= 0)
        return status;
    metric_setup(program->metrics, 1);
    struct service service = {.magic = SERVICE_MAGIC, .settings = program->options.settings, .parts = parts};
    bool has_started = start(&service);
    if (has_started) {
        log_info("started", F_STR("version", daemon_version), F_UINT("generation", service.generation),
                 F_UINT("admin_port", admin_port(service.admin)));
        daemon_notify("READY=1");
        loop_run(service.loop);
    }
    release(&service);
    option_release(&program->options);
    return has_started && !service.has_failed ? 0 : 1;
}

struct loop *service_loop(const struct service *service)
{
    return service->loop;
}

struct admin *service_admin(const struct service *service)
{
    return service->admin;
}

uint64_t service_generation(const struct service *service)
{
    return service->generation;
}

bool service_is_stopping(const struct service *service)
{
    return service->is_stopping;
}

void service_set_id(struct service *service, const char *id)
{
    free(service->id);
    service->id = xstrdup(id);
    daemon_set_instance(id);
}

const char *service_id(const struct service *service)
{
    return service->id;
}
