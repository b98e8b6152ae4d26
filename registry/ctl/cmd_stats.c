#include "registry/ctl/client.h"
#include "registry/ctl/show.h"

enum status cmd_stats(const struct arguments *arguments)
{
    return client_run(arguments, "/api/v1/stats", show_stats);
}
