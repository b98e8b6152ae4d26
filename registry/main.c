/* herald-registry: watches who lives, publishes it, and answers operators. */
#include <signal.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/loop.h"
#include "registry/metrics.h"
#include "registry/registry.h"
#include "registry/settings.h"

static void on_signal(void *arg)
{
    registry_stop(arg);
}

static void on_hangup(void *arg)
{
    (void)arg;
    log_info("SIGHUP: nothing to reload, settings are read at the start");
}

static int run(struct loop *loop, const struct registry_settings *settings)
{
    struct registry *registry = NULL;
    if (registry_new(loop, settings, &registry) != ERR_OK)
        return 1;
    struct loop_signal *term = loop_signal_new(loop, SIGTERM, on_signal, registry);
    struct loop_signal *interrupt = loop_signal_new(loop, SIGINT, on_signal, registry);
    struct loop_signal *hangup = loop_signal_new(loop, SIGHUP, on_hangup, NULL);
    daemon_notify("READY=1");
    loop_run(loop);
    int status = registry_has_failed(registry) ? 1 : 0;
    loop_signal_free(&hangup);
    loop_signal_free(&interrupt);
    loop_signal_free(&term);
    registry_free(&registry);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option *const tables[] = {daemon_options, registry_options, NULL};
    struct registry_settings settings = {0};
    struct daemon_program program = {
        .options = {.tables = tables,
                    .settings = &settings,
                    .program = "herald-registry",
                    .summary = "watches the instances of a Herald cluster, publishes who lives, answers operators"},
        .metrics = registry_metrics,
        .component = "registry",
    };
    int status = daemon_start(&program, argc, argv);
    if (status >= 0)
        return status;
    metric_setup(registry_metrics, 1);
    struct loop *loop = loop_new();
    status = run(loop, &settings);
    loop_free(&loop);
    option_release(&program.options);
    return status;
}
