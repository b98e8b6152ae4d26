#include "registry/ctl/client.h"
#include "registry/ctl/show.h"

enum status cmd_instances(const struct arguments *arguments)
{
    struct buf path;
    buf_init(&path);
    buf_add_str(&path, "/api/v1/instances");
    if (argument_is_given(arguments, ARGUMENT_STATE)) {
        buf_add_str(&path, "?state=");
        url_add_escaped(&path, arguments->values[ARGUMENT_STATE]);
    }
    enum status status = client_run(arguments, path.bytes, show_instances);
    buf_release(&path);
    return status;
}
