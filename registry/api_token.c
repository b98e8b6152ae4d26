/* GET /api/v1/token?user=&device=&ttl=: a development token. GET /api/v1/try: what the try page has to know. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/jwt_sign.h"
#include "registry/api_reply.h"
#include "registry/presence.h"

enum { TTL_S = 3600, TTL_MAX_S = 86400 };

static bool parse_ttl(const char *text, uint64_t *ttl_r)
{
    char *end;
    *ttl_r = TTL_S;
    if (!text)
        return true;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > TTL_MAX_S)
        return false;
    *ttl_r = (uint64_t)value;
    return true;
}

static void reply_token(const struct api *api, struct admin_request *request, const struct jwt_claims *claims)
{
    const char *secret = api->settings->auth_secret;
    char *token = jwt_sign_hs256(claims, secret, strlen(secret));
    if (!token) {
        api_refuse(request, 400, REFUSAL_BAD, "user and device must be UTF-8");
        return;
    }
    json_t *document = json_pack("{s:s, s:s, s:s, s:I}", "token", token, "user", claims->user, "device",
                                 claims->device ? claims->device : "", "expires", (json_int_t)claims->expires_s);
    free(token);
    api_reply_json(request, 200, document);
}

void api_token_get(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_TOKEN);
    if (!api_check_try(api, request))
        return;
    if (!*api->settings->auth_secret) {
        api_refuse(request, 403, REFUSAL_DISABLED, "no token can be minted: auth.secret is not set");
        return;
    }
    const char *user = admin_query(request, "user"), *device = admin_query(request, "device");
    uint64_t ttl_s;
    if (!user || !presence_is_id(user) || (device && *device && !presence_is_id(device)) ||
        !parse_ttl(admin_query(request, "ttl"), &ttl_s)) {
        api_refuse(request, 400, REFUSAL_BAD, "?user=ID, and where wanted &device=ID&ttl=SECONDS (1 to 86400)");
        return;
    }
    uint64_t now_s = loop_wall_ms(api->loop) / 1000;
    reply_token(api, request,
                &(struct jwt_claims){.user = user, .device = device, .issued_s = now_s, .expires_s = now_s + ttl_s});
}

static void add_gateway(json_t *gateways, const char *name, const char *url)
{
    json_t *row = *url ? json_pack("{s:s, s:s}", "name", name, "url", url) : NULL;
    if (row)
        json_array_append_new(gateways, row);
}

static bool has_url(const json_t *gateways, const char *url)
{
    for (size_t i = 0; i < json_array_size(gateways); i++) {
        if (strcmp(json_string_value(json_object_get(json_array_get(gateways, i), "url")), url) == 0)
            return true;
    }
    return false;
}

/* The workers of a gateway share its URL: it is listed once, by the name of the node ("gw1" of "gw1-0"). */
static void add_instance(json_t *gateways, const struct instance *in)
{
    if (has_url(gateways, in->lease->url))
        return;
    const char *dash = strrchr(in->name, '-');
    char *node = dash ? xstrndup(in->name, (size_t)(dash - in->name)) : xstrdup(in->name);
    add_gateway(gateways, node, in->lease->url);
    free(node);
}

static json_t *gateway_list(const struct api *api)
{
    const struct option_list *urls = &api->settings->try_gateway_urls;
    json_t *gateways = json_array();
    for (size_t i = 0; i < urls->count; i++)
        add_gateway(gateways, urls->items[i], urls->items[i]);
    for (size_t i = 0; urls->count == 0 && i < roster_count(api->roster); i++) {
        const struct instance *in = roster_at(api->roster, i);
        if (in->is_live && in->lease->role == HERALD__V1__ROLE__ROLE_GATEWAY)
            add_instance(gateways, in);
    }
    return gateways;
}

void api_try_get(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_TRY);
    api_reply_json(request, 200,
                   json_pack("{s:b, s:b, s:o, s:s}", "enabled", api->settings->is_try_enabled, "mintsTokens",
                             api->settings->is_try_enabled && *api->settings->auth_secret, "gateways",
                             gateway_list(api), "topic", api->settings->push_topic));
}
