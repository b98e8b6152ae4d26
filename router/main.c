/* herald-router: takes records from Kafka to the gateways that hold their users, and knows what became of each. */
#include <signal.h>

#include "common/daemon.h"
#include "common/log.h"
#include "common/loop.h"
#include "router/metrics.h"
#include "router/router.h"
#include "router/settings.h"

static void on_signal(void *arg)
{
    router_stop(arg);
}

static void on_hangup(void *arg)
{
    (void)arg;
    log_info("SIGHUP: nothing to reload, settings are read at the start");
}

static int run(struct loop *loop, const struct router_settings *settings)
{
    struct router *router = NULL;
    if (router_new(loop, settings, &router) != ERR_OK)
        return 1;
    struct loop_signal *term = loop_signal_new(loop, SIGTERM, on_signal, router);
    struct loop_signal *interrupt = loop_signal_new(loop, SIGINT, on_signal, router);
    struct loop_signal *hangup = loop_signal_new(loop, SIGHUP, on_hangup, NULL);
    daemon_notify("READY=1");
    loop_run(loop);
    int status = router_has_failed(router) ? 1 : 0;
    loop_signal_free(&hangup);
    loop_signal_free(&interrupt);
    loop_signal_free(&term);
    router_free(&router);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option *const tables[] = {daemon_options, router_options, NULL};
    struct router_settings settings = {0};
    struct daemon_program program = {
        .options = {.tables = tables,
                    .settings = &settings,
                    .program = "herald-router",
                    .summary = "takes records from Kafka to the gateways that hold their users"},
        .metrics = router_metrics,
        .component = "router",
    };
    int status = daemon_start(&program, argc, argv);
    if (status >= 0)
        return status;
    metric_setup(router_metrics, 1);
    struct loop *loop = loop_new();
    status = run(loop, &settings);
    loop_free(&loop);
    option_release(&program.options);
    return status;
}
