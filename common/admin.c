#include "admin.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin_route.h"
#include "check.h"
#include "list.h"
#include "log.h"
#include "metric.h"
#include "net.h"

enum {
    ADMIN_MAGIC = 0x41444d4e,
    REQUEST_MAGIC = 0x41445251,
    BACKLOG = 64,
    CONNECTION_MAX = 128, /* beyond it the listener rests; further clients wait in the backlog */
    HEAD_MAX = 16 << 10,
    BODY_MAX = 1 << 20,
    IDLE_S = 10, /* without a byte read or written, where one is due */
};

struct admin {
    uint32_t magic;
    struct loop *loop;
    struct evhttp *http;
    struct evconnlistener *listener;
    uint16_t port;
    admin_ready_fn *ready;
    void *ready_arg;
    loop_fn *on_scrape;
    void *on_scrape_arg;
    struct admin_routes routes;
    struct list connections; /* struct connection */
    size_t connection_count;
    struct list requests; /* struct admin_request: handed to a handler, not answered yet */
};

/* evhttp tells nobody of a new connection, but it asks for its bufferevent. At the end of that turn the bufferevent's
 * callback argument is the evhttp_connection, which then tells when it closes. */
struct connection {
    struct list link;
    struct loop_task adopt;
    struct admin *admin;
    struct bufferevent *stream;     /* a reference of ours is held until adopted */
    struct evhttp_connection *http; /* NULL until adopted */
};

/* A decoded query parameter, kept until the reply. */
struct kept {
    struct kept *next;
    char *text;
};

struct admin_request {
    uint32_t magic;
    struct list link;
    struct evhttp_request *http; /* NULL when the admin is gone */
    char *path, *rest;
    struct kept *kept;
};

static const struct {
    const char *name;
    enum evhttp_cmd_type method;
} methods[] = {
    {"GET", EVHTTP_REQ_GET},         {"HEAD", EVHTTP_REQ_HEAD},     {"POST", EVHTTP_REQ_POST},
    {"PUT", EVHTTP_REQ_PUT},         {"DELETE", EVHTTP_REQ_DELETE}, {"PATCH", EVHTTP_REQ_PATCH},
    {"OPTIONS", EVHTTP_REQ_OPTIONS}, {"TRACE", EVHTTP_REQ_TRACE},   {"CONNECT", EVHTTP_REQ_CONNECT},
};
enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

/* --- requests --- */

static struct admin_request *request_new(struct admin *admin, struct evhttp_request *http)
{
    struct admin_request *r = xcalloc(1, sizeof *r);
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));
    r->magic = REQUEST_MAGIC;
    r->http = http;
    r->path = xstrdup(path && *path ? path : "/");
    r->rest = xstrdup("");
    list_push(&admin->requests, &r->link);
    return r;
}

static void request_free(struct admin_request *r)
{
    while (r->kept) {
        struct kept *next = r->kept->next;
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
    struct kept *kept = xmalloc(sizeof *kept);
    *kept = (struct kept){.next = r->kept, .text = text};
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

static void reply_text(struct admin_request *request, int code, const char *type, struct buf *body)
{
    admin_reply_header(request, "Cache-Control", "no-store");
    admin_reply(request, code, type, body->bytes, body->len);
    buf_release(body);
}

/* --- what every daemon serves --- */

static void serve_metrics(struct admin_request *request, void *arg)
{
    struct admin *admin = arg;
    struct buf body;
    buf_init(&body);
    if (admin->on_scrape)
        admin->on_scrape(admin->on_scrape_arg);
    metric_print(&body);
    reply_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static void serve_health(struct admin_request *request, void *arg)
{
    (void)arg;
    struct buf body;
    buf_init(&body);
    buf_add_str(&body, "ok\n");
    reply_text(request, 200, "text/plain; charset=utf-8", &body);
}

static void serve_ready(struct admin_request *request, void *arg)
{
    struct admin *admin = arg;
    struct buf why, body;
    buf_init(&why);
    buf_init(&body);
    bool is_ready = !admin->ready || admin->ready(admin->ready_arg, &why);
    buf_add_str(&body, is_ready ? "ready" : "not ready");
    if (why.len)
        buf_printf(&body, ": %s", why.bytes);
    buf_add_char(&body, '\n');
    buf_release(&why);
    reply_text(request, is_ready ? 200 : 503, "text/plain; charset=utf-8", &body);
}

/* --- routes --- */

void admin_route(struct admin *admin, const char *method, const char *path, admin_fn *fn, void *arg)
{
    admin_routes_add(&admin->routes, method, path, fn, arg);
}

void admin_on_scrape(struct admin *admin, loop_fn *fn, void *arg)
{
    admin->on_scrape = fn;
    admin->on_scrape_arg = arg;
}

static const char *method_name(struct evhttp_request *http)
{
    size_t m = 0;
    while (m < METHOD_COUNT && methods[m].method != evhttp_request_get_command(http))
        m++;
    return m < METHOD_COUNT ? methods[m].name : "?";
}

static void refuse(struct admin_request *request, const char *allowed)
{
    if (*allowed) {
        admin_reply_header(request, "Allow", allowed);
        admin_reply_error(request, 405, "method not allowed");
    } else {
        admin_reply_error(request, 404, "not found");
    }
}

static void call(struct admin_request *request, const struct admin_route *route)
{
    const char *rest = request->path + (route->prefix_len ? route->prefix_len : strlen(request->path));
    char *decoded = decode(rest, strlen(rest), 0);
    if (!decoded) {
        admin_reply_error(request, 400, "zero byte in the path");
        return;
    }
    free(request->rest);
    request->rest = decoded;
    route->fn(request, route->arg);
}

static void on_request(struct evhttp_request *http, void *arg)
{
    struct admin *admin = arg;
    MAGIC_CHECK(admin, ADMIN_MAGIC);
    struct admin_request *request = request_new(admin, http);
    struct buf allowed;
    buf_init(&allowed);
    const struct admin_route *route = admin_routes_find(&admin->routes, method_name(http), request->path, &allowed);
    if (route)
        call(request, route);
    else
        refuse(request, allowed.bytes);
    buf_release(&allowed);
}

/* --- connections --- */

static void connection_free(struct connection *c)
{
    struct admin *admin = c->admin;
    list_remove(&c->link);
    free(c);
    if (admin->connection_count-- == CONNECTION_MAX && admin->listener)
        evconnlistener_enable(admin->listener);
}

static void on_connection_closed(struct evhttp_connection *http, void *arg)
{
    struct connection *c = arg;
    MAGIC_CHECK(c->admin, ADMIN_MAGIC);
    CHECK(c->http == http);
    connection_free(c);
}

static void adopt(void *arg)
{
    struct connection *c = arg;
    MAGIC_CHECK(c->admin, ADMIN_MAGIC);
    bufferevent_event_cb on_event;
    void *owner;
    bufferevent_getcb(c->stream, NULL, NULL, &on_event, &owner);
    bufferevent_decref(c->stream);
    if (!on_event) { /* evhttp gave it up at once */
        connection_free(c);
        return;
    }
    c->http = owner;
    evhttp_connection_set_closecb(c->http, on_connection_closed, c);
}

static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    struct admin *admin = arg;
    MAGIC_CHECK(admin, ADMIN_MAGIC);
    struct connection *c = xcalloc(1, sizeof *c);
    c->admin = admin;
    c->stream = bufferevent_socket_new(base, -1, 0);
    CHECK(c->stream);
    bufferevent_incref(c->stream);
    list_push(&admin->connections, &c->link);
    loop_task_init(&c->adopt, adopt, c);
    loop_defer(admin->loop, &c->adopt);
    if (++admin->connection_count == CONNECTION_MAX) {
        log_limited(LOG_WARN, "admin connections at their limit", F_UINT("connections", CONNECTION_MAX));
        evconnlistener_disable(admin->listener);
    }
    return c->stream;
}

/* --- the server --- */

/* "host:port", "[::1]:port", ":port". host_r has room for all of listen. */
static enum err parse_listen(const char *listen, char *host_r, uint16_t *port_r)
{
    const char *colon = strrchr(listen, ':');
    if (!colon || colon[1] < '0' || colon[1] > '9')
        return ERR_INVALID;
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end || port > UINT16_MAX)
        return ERR_INVALID;
    size_t len = (size_t)(colon - listen);
    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    memcpy(host_r, listen, len);
    host_r[len] = '\0';
    *port_r = (uint16_t)port;
    return ERR_OK;
}

static enum err bind_listener(const char *listen, int *fd_r)
{
    char *host = xmalloc(strlen(listen) + 1);
    uint16_t port;
    enum err err = parse_listen(listen, host, &port);
    if (err == ERR_OK)
        err = net_listen(host, port, BACKLOG, false, fd_r);
    free(host);
    return err;
}

static void serve(struct admin *admin, int fd)
{
    unsigned all_methods = 0;
    for (size_t m = 0; m < METHOD_COUNT; m++)
        all_methods |= methods[m].method;
    admin->http = evhttp_new(loop_event_base(admin->loop));
    CHECK(admin->http);
    evhttp_set_max_headers_size(admin->http, HEAD_MAX);
    evhttp_set_max_body_size(admin->http, BODY_MAX);
    evhttp_set_timeout(admin->http, IDLE_S);
    evhttp_set_allowed_methods(admin->http, (uint16_t)all_methods); /* 405 is ours to answer */
    /* reads on to the end of a body too large, else the reset of the connection would overtake the 413 */
    CHECK(evhttp_set_flags(admin->http, EVHTTP_SERVER_LINGERING_CLOSE) == 0);
    evhttp_set_bevcb(admin->http, on_connection, admin);
    evhttp_set_gencb(admin->http, on_request, admin);
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(admin->http, fd);
    CHECK(bound);
    admin->listener = evhttp_bound_socket_get_listener(bound);
}

enum err admin_new(struct loop *loop, const char *listen, admin_ready_fn *ready, void *ready_arg,
                   struct admin **admin_r)
{
    int fd;
    enum err err = bind_listener(listen, &fd);
    if (err != ERR_OK)
        return err;
    struct admin *admin = xcalloc(1, sizeof *admin);
    admin->magic = ADMIN_MAGIC;
    admin->loop = loop;
    admin->port = net_local_port(fd);
    admin->ready = ready;
    admin->ready_arg = ready_arg;
    list_init(&admin->connections);
    list_init(&admin->requests);
    serve(admin, fd);
    admin_route(admin, "GET", "/metrics", serve_metrics, admin);
    admin_route(admin, "GET", "/healthz", serve_health, admin);
    admin_route(admin, "GET", "/readyz", serve_ready, admin);
    *admin_r = admin;
    return ERR_OK;
}

uint16_t admin_port(const struct admin *admin)
{
    return admin->port;
}

/* Handlers still hold these and will answer some day; evhttp_free() frees only those that have a connection. */
static void orphan_requests(struct admin *admin)
{
    struct list *link;
    while ((link = list_pop(&admin->requests))) {
        struct admin_request *request = container_of(link, struct admin_request, link);
        if (!evhttp_request_get_connection(request->http))
            evhttp_request_free(request->http);
        request->http = NULL;
    }
}

void admin_free(struct admin **admin_p)
{
    struct admin *admin = *admin_p;
    if (!admin)
        return;
    *admin_p = NULL;
    orphan_requests(admin);
    list_each (link, &admin->connections) {
        struct connection *c = container_of(link, struct connection, link);
        if (c->http)
            continue;
        loop_task_cancel(admin->loop, &c->adopt);
        adopt(c);
    }
    admin->listener = NULL;
    evhttp_free(admin->http);
    CHECK(list_is_empty(&admin->connections));
    admin_routes_release(&admin->routes);
    admin->magic = 0;
    free(admin);
}

/* Closing a connection, evhttp shuts the socket down, for the parent too. So it gets other sockets to close.
 * Nothing of the child's epoll set is stale after it: libevent registers what event_reinit() found only next turn. */
void admin_after_fork(struct admin **admin_p)
{
    struct admin *admin = *admin_p;
    if (!admin)
        return;
    int stand_in = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(stand_in >= 0);
    list_each (link, &admin->connections) {
        struct connection *c = container_of(link, struct connection, link);
        struct bufferevent *stream = c->http ? evhttp_connection_get_bufferevent(c->http) : c->stream;
        int fd = bufferevent_getfd(stream);
        CHECK(fd < 0 || dup2(stand_in, fd) == fd);
    }
    close(stand_in);
    admin_free(admin_p);
}
