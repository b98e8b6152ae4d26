#include "gateway/ws/upgrade.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "gateway/ws/accept_key.h"
#include "gateway/ws/http_status.h"
#include "gateway/ws/origin.h"
#include "gateway/ws/query.h"

static const char protocol_json[] = "herald.json.v1";
static const char protocol_jwt_prefix[] = "herald.jwt.";

static bool refuse(struct upgrade *u, int status, const char *why)
{
    u->status = status;
    u->why = why;
    return false;
}

/* The next item of a comma-separated list, cut out in place; empty ones are skipped (RFC 9110 section 5.6.1). */
static char *next_item(char **cursor)
{
    while (*cursor) {
        char *item = *cursor + strspn(*cursor, " \t");
        char *end = item + strcspn(item, ",");
        *cursor = *end ? end + 1 : NULL;
        while (end > item && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        *end = '\0';
        if (*item)
            return item;
    }
    return NULL;
}

/* Is `wanted` among the items of all fields of that name? */
static bool has_item(struct http_head *head, const char *name, const char *wanted)
{
    char *value;
    for (unsigned nth = 0; (value = http_head_field(head, name, nth)); nth++)
        for (char *item; (item = next_item(&value));)
            if (strcasecmp(item, wanted) == 0)
                return true;
    return false;
}

/* The path of origin-form or absolute-form (RFC 9112 section 3.2); *query_r: behind the ?, or NULL. */
static const char *split_target(char *target, char **query_r)
{
    size_t scheme = strncasecmp(target, "http://", 7) == 0 ? 7 : strncasecmp(target, "https://", 8) == 0 ? 8 : 0;
    if (scheme > 0)
        target += scheme + strcspn(target + scheme, "/?");
    *query_r = strchr(target, '?');
    if (*query_r)
        *(*query_r)++ = '\0';
    return target;
}

/* What stands twice could be read differently by others: refused. */
static bool take_once(struct upgrade *u, const char **slot, const char *value)
{
    if (*slot)
        return refuse(u, 400, "a query parameter is given twice");
    *slot = value;
    return true;
}

static bool read_query(struct upgrade *u, char *query)
{
    struct upgrade_request *request = &u->request;
    const char *name, *value;
    while (query) {
        if (query_next(&query, &name, &value) != ERR_OK)
            return refuse(u, 400, "bad query");
        if (!name)
            break;
        bool is_fine = strcmp(name, "token") == 0    ? take_once(u, &request->token, value)
                       : strcmp(name, "device") == 0 ? take_once(u, &request->device, value)
                       : strcmp(name, "user") == 0   ? take_once(u, &request->user, value)
                                                     : true;
        if (!is_fine)
            return false;
    }
    return true;
}

static bool check_target(struct upgrade *u, struct http_head *head, const struct conn_settings *settings)
{
    char *query;
    const char *path = split_target(http_head_target(head), &query);
    if (strcmp(path, settings->path) != 0)
        return refuse(u, 404, "there is nothing here");
    if (strcmp(http_head_method(head), "GET") != 0)
        return refuse(u, 405, "only GET is answered here");
    return read_query(u, query);
}

static bool check_websocket(struct upgrade *u, struct http_head *head)
{
    if (!has_item(head, "Upgrade", "websocket") || !has_item(head, "Connection", "Upgrade"))
        return refuse(u, 426, "this is a WebSocket endpoint");
    const char *version = http_head_field(head, "Sec-WebSocket-Version", 0);
    if (!version || http_head_field(head, "Sec-WebSocket-Version", 1) || strcmp(version, "13") != 0)
        return refuse(u, 426, "WebSocket version 13 is required");
    u->key = http_head_field(head, "Sec-WebSocket-Key", 0);
    if (!u->key || http_head_field(head, "Sec-WebSocket-Key", 1) || !accept_key_is_valid(u->key))
        return refuse(u, 400, "bad Sec-WebSocket-Key");
    return true;
}

static bool check_origin(struct upgrade *u, struct http_head *head, const struct conn_settings *settings)
{
    u->request.origin = http_head_field(head, "Origin", 0);
    if (http_head_field(head, "Origin", 1))
        return refuse(u, 400, "Origin is given twice");
    if (!origin_is_allowed(&settings->origins, u->request.origin))
        return refuse(u, 403, "this origin may not connect");
    return true;
}

static bool is_token(const char *s)
{
    static const char token_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    return s[strspn(s, token_chars)] == '\0';
}

static bool choose_protocol(struct upgrade *u, struct http_head *head, const char **token_r)
{
    *token_r = NULL;
    char *value;
    for (unsigned nth = 0; (value = http_head_field(head, "Sec-WebSocket-Protocol", nth)); nth++) {
        for (char *item; (item = next_item(&value));) {
            if (!is_token(item))
                return refuse(u, 400, "bad Sec-WebSocket-Protocol");
            if (strcmp(item, protocol_json) == 0)
                u->protocol = protocol_json;
            else if (strncmp(item, protocol_jwt_prefix, sizeof(protocol_jwt_prefix) - 1) == 0)
                *token_r = item + sizeof(protocol_jwt_prefix) - 1;
        }
    }
    return true;
}

/* The first offer that can be accepted (RFC 7692 section 5); none is no reason to refuse. */
static void choose_extension(struct upgrade *u, struct http_head *head, const struct conn_settings *settings,
                             int takeover_bits)
{
    char *value;
    for (unsigned nth = 0; settings->is_deflate && (value = http_head_field(head, "Sec-WebSocket-Extensions", nth));
         nth++)
        for (char *item; !u->deflate.is_agreed && (item = next_item(&value));)
            (void)deflate_offer_accept(item, takeover_bits, &u->deflate);
}

static bool choose_token(struct upgrade *u, struct http_head *head, const char *protocol_token)
{
    const char *authorization = http_head_field(head, "Authorization", 0);
    if (http_head_field(head, "Authorization", 1))
        return refuse(u, 400, "Authorization is given twice");
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
        u->request.token = authorization + 7 + strspn(authorization + 7, " ");
    else if (!u->request.token)
        u->request.token = protocol_token;
    return true;
}

void upgrade_decide(struct http_head *head, const struct conn_settings *settings, int takeover_bits,
                    struct upgrade *u_r)
{
    *u_r = (struct upgrade){.status = 101};
    u_r->request.user_agent = http_head_field(head, "User-Agent", 0);
    u_r->request.forwarded_for = http_head_field(head, "X-Forwarded-For", 0);
    const char *protocol_token;
    if (check_target(u_r, head, settings) && check_websocket(u_r, head) && check_origin(u_r, head, settings) &&
        choose_protocol(u_r, head, &protocol_token))
        (void)choose_token(u_r, head, protocol_token);
    choose_extension(u_r, head, settings, takeover_bits);
}

static void answer_upgrade(const struct upgrade *u, struct buf *out)
{
    char accept[ACCEPT_KEY_LEN + 1];
    accept_key(u->key, accept);
    buf_add_str(out, "HTTP/1.1 101 Switching Protocols\r\n"
                     "Upgrade: websocket\r\n"
                     "Connection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: ");
    buf_add(out, accept, ACCEPT_KEY_LEN);
    if (u->protocol) {
        buf_add_str(out, "\r\nSec-WebSocket-Protocol: ");
        buf_add_str(out, u->protocol);
    }
    buf_add_str(out, "\r\n");
    if (u->deflate.is_agreed) {
        buf_add_str(out, "Sec-WebSocket-Extensions: ");
        deflate_offer_answer(&u->deflate, out);
        buf_add_str(out, "\r\n");
    }
    buf_add_str(out, "\r\n");
}

/* Header lines that only this status has. */
static const char *extra_fields(int status)
{
    switch (status) {
    case 405:
        return "Allow: GET\r\n";
    case 426:
        return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    default:
        return "";
    }
}

void upgrade_refusal(int status, const char *why, unsigned retry_after_s, struct buf *out)
{
    buf_printf(out, "HTTP/1.1 %d %s\r\n%s", status, http_status_phrase(status), extra_fields(status));
    if (status == 503)
        buf_printf(out, "Retry-After: %u\r\n", retry_after_s);
    buf_printf(out,
               "Connection: %s\r\n"
               "Content-Type: text/plain; charset=utf-8\r\n"
               "Content-Length: %zu\r\n"
               "\r\n"
               "%s\n",
               status == 426 ? "Upgrade, close" : "close", strlen(why) + 1, why);
}

void upgrade_answer(const struct upgrade *u, struct buf *out)
{
    if (u->status == 101)
        answer_upgrade(u, out);
    else
        upgrade_refusal(u->status, u->why, 0, out);
}
