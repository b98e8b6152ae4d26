#include "admin_request.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { REQUEST_MAGIC = 0x41445251 };

/* A decoded query parameter, kept until the reply. */
struct admin_kept {
    struct admin_kept *next;
    char *text;
};

static const struct {
    const char *name;
    enum evhttp_cmd_type method;
} methods[ADMIN_METHOD_COUNT] = {
    {"GET", EVHTTP_REQ_GET},         {"HEAD", EVHTTP_REQ_HEAD},     {"POST", EVHTTP_REQ_POST},
    {"PUT", EVHTTP_REQ_PUT},         {"DELETE", EVHTTP_REQ_DELETE}, {"PATCH", EVHTTP_REQ_PATCH},
    {"OPTIONS", EVHTTP_REQ_OPTIONS}, {"TRACE", EVHTTP_REQ_TRACE},   {"CONNECT", EVHTTP_REQ_CONNECT},
};

uint16_t admin_request_methods(void)
{
    unsigned all = 0;
    for (size_t m = 0; m < ADMIN_METHOD_COUNT; m++)
        all |= methods[m].method;
    return (uint16_t)all;
}

const char *admin_request_method(const struct admin_request *request)
{
    size_t m = 0;
    while (m < ADMIN_METHOD_COUNT && methods[m].method != evhttp_request_get_command(request->http))
        m++;
    return m < ADMIN_METHOD_COUNT ? methods[m].name : "?";
}

struct admin_request *admin_request_new(struct evhttp_request *http)
{
    struct admin_request *r = xcalloc(1, sizeof *r);
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));
    r->magic = REQUEST_MAGIC;
    r->http = http;
    r->path = xstrdup(path && *path ? path : "/");
    r->rest = xstrdup("");
    list_init(&r->link);
    return r;
}

static void request_free(struct admin_request *r)
{
    while (r->kept) {
        struct admin_kept *next = r->kept->next;
        free(r->kept->text);
        free(r->kept);
        r->kept = next;
    }
    list_remove(&r->link);
    free(r->path);
    free(r->rest);
    r->magic = 0;
    free(r);
}

/* Percent-decoded; NULL when a zero byte would cut it short. */
static char *decode(const char *text, size_t len, int is_query)
{
    char *raw = xstrndup(text, len);
    size_t size = 0;
    char *plain = evhttp_uridecode(raw, is_query, &size);
    free(raw);
    CHECK(plain);
    if (strlen(plain) == size)
        return plain;
    free(plain);
    return NULL;
}

enum err admin_request_set_rest(struct admin_request *request, size_t skip)
{
    const char *rest = request->path + skip;
    char *decoded = decode(rest, strlen(rest), 0);
    if (!decoded)
        return ERR_INVALID;
    free(request->rest);
    request->rest = decoded;
    return ERR_OK;
}

/* evhttp_free() frees only those that have a connection. */
void admin_request_orphan(struct admin_request *request)
{
    list_remove(&request->link);
    if (!evhttp_request_get_connection(request->http))
        evhttp_request_free(request->http);
    request->http = NULL;
}

const char *admin_path(const struct admin_request *request)
{
    return request->path;
}

const char *admin_path_rest(const struct admin_request *request)
{
    return request->rest;
}

static const char *keep(struct admin_request *r, char *text)
{
    if (!text)
        return NULL;
    struct admin_kept *kept = xmalloc(sizeof *kept);
    *kept = (struct admin_kept){.next = r->kept, .text = text};
    r->kept = kept;
    return text;
}

const char *admin_query(const struct admin_request *request, const char *name)
{
    const char *query = request->http ? evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request->http)) : NULL;
    size_t name_len = strlen(name);
    while (query && *query) {
        size_t len = strcspn(query, "&");
        size_t key_len = strcspn(query, "=&");
        if (key_len == name_len && memcmp(query, name, name_len) == 0) {
            size_t skip = key_len < len ? key_len + 1 : len;
            return keep((struct admin_request *)request, decode(query + skip, len - skip, 1));
        }
        query += query[len] ? len + 1 : len;
    }
    return NULL;
}

const char *admin_header(const struct admin_request *request, const char *name)
{
    return request->http ? evhttp_find_header(evhttp_request_get_input_headers(request->http), name) : NULL;
}

const void *admin_body(const struct admin_request *request, size_t *len_r)
{
    struct evbuffer *body = request->http ? evhttp_request_get_input_buffer(request->http) : NULL;
    *len_r = body ? evbuffer_get_length(body) : 0;
    return *len_r ? (const void *)evbuffer_pullup(body, -1) : "";
}

void admin_reply_header(struct admin_request *request, const char *name, const char *value)
{
    /* refused only for what would break the header, such as a newline: then it is left out */
    if (request->http)
        (void)evhttp_add_header(evhttp_request_get_output_headers(request->http), name, value);
}

/* evhttp frees the request when it is sent, or at once when its client has left. */
void admin_reply(struct admin_request *request, int code, const char *content_type, const void *body, size_t len)
{
    MAGIC_CHECK(request, REQUEST_MAGIC);
    struct evhttp_request *http = request->http;
    if (http) {
        struct evbuffer *out = evbuffer_new();
        CHECK(out);
        admin_reply_header(request, "Content-Type", content_type);
        if (evhttp_request_get_command(http) == EVHTTP_REQ_HEAD) {
            char text[24];
            snprintf(text, sizeof text, "%zu", len);
            admin_reply_header(request, "Content-Length", text);
        } else {
            CHECK(evbuffer_add(out, body, len) == 0);
        }
        evhttp_send_reply(http, code, NULL, out);
        evbuffer_free(out);
    }
    request_free(request);
}

void admin_reply_error(struct admin_request *request, int code, const char *text)
{
    struct buf body;
    buf_init(&body);
    buf_add_str(&body, "{\"error\":");
    buf_add_json_str(&body, text, strlen(text));
    buf_add_str(&body, "}\n");
    admin_reply(request, code, "application/json", body.bytes, body.len);
    buf_release(&body);
}
