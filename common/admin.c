#include "admin.h"

#include <stdlib.h>
#include <string.h>

#include "admin_conns.h"
#include "admin_request.h"
#include "admin_route.h"
#include "check.h"
#include "log.h"
#include "net.h"

enum { ADMIN_MAGIC = 0x41444d4e, BACKLOG = 64 };

struct admin {
    uint32_t magic;
    struct loop *loop;
    struct evhttp *http;
    uint16_t port;
    admin_ready_fn *ready;
    void *ready_arg;
    loop_fn *on_scrape;
    void *on_scrape_arg;
    struct admin_routes routes;
    struct admin_conns conns;
    struct list requests; /* struct admin_request: handed to a handler, not answered yet */
    uint64_t refused[ADMIN_REFUSAL_COUNT];
};

static const char *const refusal_labels[] = {"connections", "requests", NULL};
const struct metric admin_metrics[] = {
    {"herald_admin_refused_total", METRIC_COUNTER,
     "connections: times the admin port took no more, for admin.connections_max; requests: connections that ended "
     "within a request: too large, too slow, malformed or given up.",
     "what", refusal_labels, NULL},
    {0},
};

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
    metric_print_own(admin_metrics, admin->refused, &body);
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
    if (admin_request_set_rest(request, route->prefix_len ? route->prefix_len : strlen(request->path)))
        admin_reply_error(request, 400, "zero byte in the path");
    else
        route->fn(request, route->arg);
}

static void on_request(struct evhttp_request *http, void *arg)
{
    struct admin *admin = arg;
    MAGIC_CHECK(admin, ADMIN_MAGIC);
    struct admin_request *request = admin_request_new(http);
    struct buf allowed;
    list_push(&admin->requests, &request->link);
    admin_conns_heard(&admin->conns, evhttp_request_get_connection(http));
    buf_init(&allowed);
    const struct admin_route *route = admin_routes_find(&admin->routes, admin_request_method(request), request->path,
                                                        &allowed);
    if (route)
        call(request, route);
    else
        refuse(request, allowed.bytes);
    buf_release(&allowed);
}

/* --- the server --- */

static enum err bind_listener(const char *listen, int *fd_r)
{
    char host[NET_HOST_MAX + 1];
    uint16_t port;
    enum err err = net_split(listen, host, &port);
    return err ? err : net_listen(host, port, BACKLOG, false, fd_r);
}

static void serve(struct admin *admin, const struct admin_settings *settings, int fd)
{
    const struct timeval idle = {.tv_sec = settings->idle_ms / 1000, .tv_usec = settings->idle_ms % 1000 * 1000};
    admin->http = evhttp_new(loop_event_base(admin->loop));
    CHECK(admin->http);
    evhttp_set_max_headers_size(admin->http, settings->head_max);
    evhttp_set_max_body_size(admin->http, settings->body_max);
    evhttp_set_timeout_tv(admin->http, &idle);
    evhttp_set_allowed_methods(admin->http, admin_request_methods()); /* 405 is ours to answer */
    /* reads on to the end of a body too large, else the reset of the connection would overtake the 413 */
    CHECK(evhttp_set_flags(admin->http, EVHTTP_SERVER_LINGERING_CLOSE) == 0);
    evhttp_set_bevcb(admin->http, admin_conns_add, &admin->conns);
    evhttp_set_gencb(admin->http, on_request, admin);
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(admin->http, fd);
    CHECK(bound);
    admin->conns.listener = evhttp_bound_socket_get_listener(bound);
}

enum err admin_new(struct loop *loop, const struct admin_settings *settings, admin_ready_fn *ready, void *ready_arg,
                   struct admin **admin_r)
{
    int fd;
    enum err err = bind_listener(settings->listen, &fd);
    if (err != ERR_OK)
        return err;
    struct admin *admin = xcalloc(1, sizeof *admin);
    admin->magic = ADMIN_MAGIC;
    admin->loop = loop;
    admin->port = net_local_port(fd);
    admin->ready = ready;
    admin->ready_arg = ready_arg;
    admin_conns_init(&admin->conns, loop, (size_t)settings->connections_max, admin->refused);
    list_init(&admin->requests);
    serve(admin, settings, fd);
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

void admin_free(struct admin **admin_p)
{
    struct admin *admin = *admin_p;
    if (!admin)
        return;
    *admin_p = NULL;
    for (struct list *link; (link = list_first(&admin->requests));)
        admin_request_orphan(container_of(link, struct admin_request, link));
    admin_conns_stop(&admin->conns);
    evhttp_free(admin->http);
    CHECK(list_is_empty(&admin->conns.all));
    admin_routes_release(&admin->routes);
    admin->magic = 0;
    free(admin);
}

/* Nothing of the child's epoll set is stale after it: libevent registers what event_reinit() found only next turn. */
void admin_after_fork(struct admin **admin_p)
{
    if (!*admin_p)
        return;
    admin_conns_disown(&(*admin_p)->conns);
    admin_free(admin_p);
}
