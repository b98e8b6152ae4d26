#include "admin_conns.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "log.h"

/* evhttp tells nobody of a new connection, but it asks for its bufferevent. At the end of that turn the bufferevent's
 * callback argument is the evhttp_connection, which then tells when it closes. */
struct admin_conn {
    struct list link;
    struct loop_task adopt;
    struct admin_conns *conns;
    struct bufferevent *stream;     /* a reference of ours is held until adopted */
    struct evhttp_connection *http; /* NULL until adopted */
    size_t unheard;                 /* bytes that came since the last whole request */
};

void admin_conns_init(struct admin_conns *conns, struct loop *loop, size_t max, uint64_t *refused)
{
    *conns = (struct admin_conns){.loop = loop, .max = max, .refused = refused};
    list_init(&conns->all);
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *change, void *arg)
{
    struct admin_conn *c = arg;
    (void)input;
    c->unheard += change->n_added;
}

static void conn_free(struct admin_conn *c)
{
    struct admin_conns *conns = c->conns;
    if (c->unheard > 0)
        conns->refused[ADMIN_REFUSED_REQUESTS]++;
    (void)evbuffer_remove_cb(bufferevent_get_input(c->stream), on_input, c);
    list_remove(&c->link);
    free(c);
    if (conns->count-- == conns->max && conns->listener)
        evconnlistener_enable(conns->listener);
}

static void on_closed(struct evhttp_connection *http, void *arg)
{
    struct admin_conn *c = arg;
    CHECK(c->http == http);
    conn_free(c);
}

static void adopt(void *arg)
{
    struct admin_conn *c = arg;
    struct bufferevent *stream = c->stream;
    bufferevent_event_cb on_event;
    void *owner;
    bufferevent_getcb(stream, NULL, NULL, &on_event, &owner);
    if (on_event) {
        c->http = owner;
        evhttp_connection_set_closecb(c->http, on_closed, c);
    } else { /* evhttp gave it up at once */
        conn_free(c);
    }
    bufferevent_decref(stream);
}

struct bufferevent *admin_conns_add(struct event_base *base, void *arg)
{
    struct admin_conns *conns = arg;
    struct admin_conn *c = xcalloc(1, sizeof *c);
    c->conns = conns;
    c->stream = bufferevent_socket_new(base, -1, 0);
    CHECK(c->stream);
    bufferevent_incref(c->stream);
    CHECK(evbuffer_add_cb(bufferevent_get_input(c->stream), on_input, c));
    list_push(&conns->all, &c->link);
    loop_task_init(&c->adopt, adopt, c);
    loop_defer(conns->loop, &c->adopt);
    if (++conns->count == conns->max) {
        conns->refused[ADMIN_REFUSED_CONNECTIONS]++;
        log_limited(LOG_WARN, "admin connections at their limit", F_UINT("connections", conns->max));
        evconnlistener_disable(conns->listener);
    }
    return c->stream;
}

void admin_conns_heard(struct admin_conns *conns, struct evhttp_connection *http)
{
    struct bufferevent *stream = evhttp_connection_get_bufferevent(http);
    list_each (link, &conns->all) {
        struct admin_conn *c = container_of(link, struct admin_conn, link);
        if (c->stream == stream)
            c->unheard = evbuffer_get_length(bufferevent_get_input(stream));
    }
}

void admin_conns_disown(struct admin_conns *conns)
{
    int stand_in = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(stand_in >= 0);
    list_each (link, &conns->all) {
        int fd = bufferevent_getfd(container_of(link, struct admin_conn, link)->stream);
        CHECK(fd < 0 || dup2(stand_in, fd) == fd);
    }
    close(stand_in);
}

void admin_conns_stop(struct admin_conns *conns)
{
    list_each (link, &conns->all) {
        struct admin_conn *c = container_of(link, struct admin_conn, link);
        if (c->http)
            continue;
        loop_task_cancel(conns->loop, &c->adopt);
        adopt(c);
    }
    conns->listener = NULL;
}
