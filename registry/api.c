#include "registry/api.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "registry/api_reply.h"

struct api *api_enter(void *arg, enum metric_resource resource)
{
    struct api *api = arg;
    MAGIC_CHECK(api, API_MAGIC);
    metric_add_labelled(METRIC_REQUESTS, resource, 1);
    return api;
}

void api_reply_json(struct admin_request *request, int code, json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    CHECK(text);
    admin_reply_header(request, "Cache-Control", "no-store");
    admin_reply(request, code, "application/json", text, strlen(text));
    free(text);
}

void api_refuse(struct admin_request *request, int code, enum metric_refusal refusal, const char *text)
{
    metric_add_labelled(METRIC_REQUESTS_REFUSED, refusal, 1);
    admin_reply_error(request, code, text);
}

bool api_check_try(const struct api *api, struct admin_request *request)
{
    if (!api->settings->is_try_enabled)
        api_refuse(request, 403, REFUSAL_DISABLED, "this is for development: start the registry with try.enabled");
    return api->settings->is_try_enabled;
}

void api_start(struct api *api, struct admin *admin)
{
    static const struct {
        const char *method, *path;
        admin_fn *fn;
    } routes[] = {
        {"GET", "/api/v1/instances", api_instances_get},
        {"GET", "/api/v1/users/", api_user_get},
        {"GET", "/api/v1/users", api_users_get},
        {"GET", "/api/v1/stats", api_stats_get},
        {"GET", "/api/v1/dlq", api_dlq_list},
        {"GET", "/api/v1/dlq/", api_dlq_get},
        {"POST", "/api/v1/dlq/replay", api_dlq_replay},
        {"GET", "/api/v1/audit", api_audit_get},
        {"GET", "/api/v1/topics", api_topics_get},
        {"POST", "/api/v1/push", api_push_post},
        {"GET", "/api/v1/token", api_token_get},
        {"GET", "/api/v1/try", api_try_get},
    };
    api->magic = API_MAGIC;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        admin_route(admin, routes[i].method, routes[i].path, routes[i].fn, api);
    api_pages_start(api, admin);
}
