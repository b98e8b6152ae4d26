/* The connections of an admin server: no more than it may have, and which of them ended badly. Private to admin.c. */
#ifndef HERALD_COMMON_ADMIN_CONNS_H
#define HERALD_COMMON_ADMIN_CONNS_H

#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "admin.h"
#include "list.h"

/* Embedded. */
struct admin_conns {
    struct loop *loop;
    struct evconnlistener *listener; /* rests while there are too many */
    size_t count, max;
    struct list all;
    uint64_t *refused; /* by enum admin_refusal */
};

void admin_conns_init(struct admin_conns *conns, struct loop *loop, size_t max, uint64_t *refused);
/* For evhttp_set_bevcb(); arg is the struct admin_conns. */
struct bufferevent *admin_conns_add(struct event_base *base, void *arg);
/* A whole request has come on it. */
void admin_conns_heard(struct admin_conns *conns, struct evhttp_connection *http);
/* In a forked child: closing a connection, evhttp shuts the socket down, for the parent too. So it gets other sockets
 * to close. */
void admin_conns_disown(struct admin_conns *conns);
/* Before evhttp_free(), which ends them all. */
void admin_conns_stop(struct admin_conns *conns);

#endif
