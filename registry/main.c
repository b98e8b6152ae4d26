/* herald-registry: watches who lives, publishes it, and answers operators. */
#include "registry/metrics.h"
#include "registry/registry.h"
#include "registry/settings.h"

int main(int argc, char **argv)
{
    static const struct option *const tables[] = {daemon_options, registry_options, NULL};
    struct registry_settings settings = {0};
    const struct daemon_program program = {
        .options = {.tables = tables,
                    .settings = &settings,
                    .program = "herald-registry",
                    .summary = "watches the instances of a Herald cluster, publishes who lives, answers operators"},
        .settings_size = sizeof settings,
        .metrics = registry_metrics,
        .component = "registry",
    };
    return service_run(&program, &registry_parts, argc, argv);
}
