/* herald-router: takes records from Kafka to the gateways that hold their users, and knows what became of each. */
#include "common/heap.h"
#include "router/metrics.h"
#include "router/router.h"
#include "router/settings.h"

int main(int argc, char **argv)
{
    static const struct option *const tables[] = {daemon_options, router_options, NULL};
    struct router_settings settings = {0};
    const struct daemon_program program = {
        .options = {.tables = tables,
                    .settings = &settings,
                    .program = "herald-router",
                    .summary = "takes records from Kafka to the gateways that hold their users"},
        .settings_size = sizeof settings,
        .metrics = router_metrics,
        .component = "router",
    };
    heap_keep();
    return service_run(&program, &router_parts, argc, argv);
}
