/* The pages: the dashboard on / and /try, compiled in from registry/web/. */
#include <string.h>

#include "registry/api_reply.h"
#include "web_assets.h"

/* Nothing from elsewhere is loaded; WebSockets go to gateways, wherever they are. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                             "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; "
                             "frame-ancestors 'none'";

static const struct web_asset *find(const char *path)
{
    for (size_t i = 0; i < sizeof(web_assets) / sizeof(web_assets[0]); i++) {
        if (strcmp(web_assets[i].path, path) == 0)
            return &web_assets[i];
    }
    return NULL;
}

static void page_get(struct admin_request *request, void *arg)
{
    (void)api_enter(arg, RESOURCE_PAGE);
    const struct web_asset *asset = find(admin_path(request));
    if (!asset) {
        api_refuse(request, 404, REFUSAL_BAD, "no such page");
        return;
    }
    const char *known = admin_header(request, "If-None-Match");
    admin_reply_header(request, "Cache-Control", "no-cache");
    admin_reply_header(request, "ETag", asset->etag);
    admin_reply_header(request, "Content-Security-Policy", policy);
    admin_reply_header(request, "X-Content-Type-Options", "nosniff");
    if (known && strcmp(known, asset->etag) == 0)
        admin_reply(request, 304, asset->type, "", 0);
    else
        admin_reply(request, 200, asset->type, asset->bytes, asset->len);
}

void api_pages_start(struct api *api, struct admin *admin)
{
    for (size_t i = 0; i < sizeof(web_assets) / sizeof(web_assets[0]); i++)
        admin_route(admin, "GET", web_assets[i].path, page_get, api);
}
