#include <sys/resource.h>

#include "common/log.h"
#include "gateway/auth/auth.h"
#include "gateway/master.h"
#include "gateway/metrics.h"
#include "gateway/settings.h"

/* Every connection is a descriptor; the soft limit is seldom meant for servers. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum err complete(void *settings)
{
    return settings_complete(settings);
}

/* Keys and secrets are looked at before anything is started; the workers make their own. No part of --check-config:
 * where a configuration is checked, its secrets are not always at hand. */
static enum err check_auth(const struct gateway_settings *settings)
{
    struct auth *auth = NULL;
    enum err err = auth_new(&settings->auth, &auth);
    auth_free(&auth);
    return err;
}

int main(int argc, char **argv)
{
    struct gateway_settings settings = {0};
    static const struct option *const tables[] = {daemon_options, gateway_options, NULL};
    struct daemon_program program = {
        .options = {tables, &settings, "herald-gateway", "Holds WebSocket connections and delivers what routers send."},
        .settings_size = sizeof settings,
        .metrics = gateway_metrics,
        .component = "gateway",
        .complete = complete,
    };
    int status = daemon_start(&program, argc, argv);
    if (status >= 0)
        return status;
    if (check_auth(&settings) != ERR_OK) {
        option_release(&program.options);
        return 2;
    }
    raise_descriptor_limit();
    status = master_run(&settings);
    option_release(&program.options);
    return status;
}
