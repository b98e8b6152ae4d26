#include "bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "check.h"
#include "log.h"

enum {
    MAGIC_PULL = 0x42505553,
    MAGIC_PUSH = 0x42505544,
    BURST = 256, /* messages handed out by one socket in one turn */
    SOCKETS_MAX = 16384,
    RECONNECT_MIN_MS = 100,
    RECONNECT_MAX_MS = 1000,
    KEEPALIVE_IDLE_S = 5,
    KEEPALIVE_EVERY_S = 2,
    KEEPALIVE_COUNT = 3,
    UNACKED_MAX_MS = 10000 /* TCP_USER_TIMEOUT: a peer whose machine vanished */
};

struct bus {
    struct loop *loop;
    void *zmq;
    uint32_t sockets;       /* open */
    uint32_t monitors_made; /* names their inproc endpoints */
};

struct bus_pull {
    uint32_t magic;
    struct bus *bus;
    void *socket; /* NULL: closed */
    struct loop_fd watch;
    uint16_t port;
    bool is_dispatching;
    bus_recv_fn *fn;
    void *arg;
    struct loop_task task, reap_task;
};

struct bus_push {
    uint32_t magic;
    struct bus *bus;
    void *socket, *monitor; /* NULL: closed */
    struct loop_fd watch, monitor_watch;
    bool is_full;      /* a send was refused; on_room is owed */
    bool is_connected; /* as told to on_event */
    uint32_t depth;    /* of entries from the loop: memory is freed outside of them */
    bus_event_fn *on_event;
    loop_fn *on_room;
    void *arg;
    struct loop_task task, monitor_task, reap_task;
};

/* --- the context and what sockets share --------------------------------------------------------------------------- */

struct bus *bus_new(struct loop *loop)
{
    struct bus *bus = xcalloc(1, sizeof *bus);
    bus->loop = loop;
    bus->zmq = zmq_ctx_new();
    CHECK(bus->zmq != NULL);
    CHECK(zmq_ctx_set(bus->zmq, ZMQ_MAX_SOCKETS, SOCKETS_MAX) == 0);
    return bus;
}

void bus_free(struct bus **bus)
{
    struct bus *b = *bus;
    *bus = NULL;
    if (!b)
        return;
    CHECK(!b->sockets);
    while (zmq_ctx_term(b->zmq) && errno == EINTR)
        ;
    free(b);
}

static void set_int(void *socket, int option, int value)
{
    CHECK(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

static void set_common(void *socket, const char *endpoint)
{
    /* Only where it is meant: with it on, names would resolve to IPv6 first, and nobody may listen there. */
    set_int(socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
    set_int(socket, ZMQ_LINGER, 0);
    set_int(socket, ZMQ_TCP_KEEPALIVE, 1);
    set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S);
    set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_EVERY_S);
    set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT);
    set_int(socket, ZMQ_TCP_MAXRT, UNACKED_MAX_MS);
}

/* ERR_FULL: as many sockets as the context or the process may have. */
static enum err open_socket(struct bus *bus, int type, const char *endpoint, void **socket_r)
{
    *socket_r = zmq_socket(bus->zmq, type);
    if (!*socket_r) {
        log_limited(LOG_ERROR, "no more sockets", F_STR("reason", zmq_strerror(errno)));
        return ERR_FULL;
    }
    bus->sockets++;
    set_common(*socket_r, endpoint);
    return ERR_OK;
}

static void close_socket(struct bus *bus, void **socket)
{
    if (!*socket)
        return;
    CHECK(zmq_close(*socket) == 0);
    *socket = NULL;
    bus->sockets--;
}

static int socket_fd(void *socket)
{
    int fd;
    size_t len = sizeof fd;
    CHECK(zmq_getsockopt(socket, ZMQ_FD, &fd, &len) == 0);
    return fd;
}

static int socket_events(void *socket)
{
    int events;
    size_t len = sizeof events;
    while (zmq_getsockopt(socket, ZMQ_EVENTS, &events, &len))
        CHECK(errno == EINTR);
    return events;
}

/* --- pull --------------------------------------------------------------------------------------------------------- */

/* True: a message was handed out, there may be more. Receiving until EAGAIN also clears ZMQ_FD. */
static bool receive_one(struct bus_pull *pull)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    int n = zmq_msg_recv(&msg, pull->socket, ZMQ_DONTWAIT);
    if (n >= 0)
        pull->fn(pull->arg, zmq_msg_data(&msg), zmq_msg_size(&msg));
    bool may_go_on = n >= 0 || errno == EINTR;
    zmq_msg_close(&msg);
    return may_go_on;
}

static void pull_some(void *arg)
{
    struct bus_pull *pull = arg;
    MAGIC_CHECK(pull, MAGIC_PULL);
    pull->is_dispatching = true;
    int left = BURST;
    while (pull->socket && left && receive_one(pull))
        left--;
    pull->is_dispatching = false;
    if (pull->socket && !left)
        loop_defer(pull->bus->loop, &pull->task); /* no event will come for what is already there */
}

static void on_pull_ready(int fd, short events, void *arg)
{
    (void)fd, (void)events;
    struct bus_pull *pull = arg;
    MAGIC_CHECK(pull, MAGIC_PULL);
    loop_defer(pull->bus->loop, &pull->task); /* so that a turn hands out one burst, whoever asked */
}

/* ZeroMQ wants * for "any port". */
static void bind_text(const char *endpoint, char text[256])
{
    size_t len = strlen(endpoint);
    bool is_any = len > 2 && !strcmp(endpoint + len - 2, ":0");
    snprintf(text, 256, "%.*s%s", (int)(is_any ? len - 1 : len), endpoint, is_any ? "*" : "");
}

static uint16_t bound_port(void *socket)
{
    char endpoint[256];
    size_t len = sizeof endpoint;
    CHECK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &len) == 0);
    const char *colon = strrchr(endpoint, ':');
    return colon ? (uint16_t)strtol(colon + 1, NULL, 10) : 0;
}

enum err bus_pull_bind(struct bus *bus, const char *endpoint, int hwm, size_t max_len, bus_recv_fn *fn, void *arg,
                       struct bus_pull **pull_r)
{
    void *socket;
    enum err err = open_socket(bus, ZMQ_PULL, endpoint, &socket);
    if (err != ERR_OK)
        return err;
    int64_t max = (int64_t)max_len;
    CHECK(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max, sizeof max) == 0);
    set_int(socket, ZMQ_RCVHWM, hwm);
    char text[256];
    bind_text(endpoint, text);
    if (zmq_bind(socket, text)) {
        log_error("cannot bind", F_STR("endpoint", endpoint), F_STR("reason", zmq_strerror(errno)));
        close_socket(bus, &socket);
        return ERR_SYSTEM;
    }
    struct bus_pull *pull = xcalloc(1, sizeof *pull);
    *pull = (struct bus_pull){.magic = MAGIC_PULL, .bus = bus, .socket = socket, .fn = fn, .arg = arg};
    pull->port = bound_port(socket);
    loop_task_init(&pull->task, pull_some, pull);
    loop_fd_init(bus->loop, &pull->watch, socket_fd(socket), on_pull_ready, pull);
    loop_fd_want(&pull->watch, LOOP_READ);
    loop_defer(bus->loop, &pull->task); /* what arrived before the watch */
    *pull_r = pull;
    return ERR_OK;
}

uint16_t bus_pull_port(const struct bus_pull *pull)
{
    return pull->port;
}

static void pull_destroy(void *arg)
{
    struct bus_pull *pull = arg;
    pull->magic = 0;
    free(pull);
}

void bus_pull_free(struct bus_pull **pull)
{
    struct bus_pull *p = *pull;
    *pull = NULL;
    if (!p)
        return;
    loop_fd_release(&p->watch);
    loop_task_cancel(p->bus->loop, &p->task);
    close_socket(p->bus, &p->socket);
    if (p->is_dispatching) {
        loop_task_init(&p->reap_task, pull_destroy, p);
        loop_reap(p->bus->loop, &p->reap_task);
    } else {
        pull_destroy(p);
    }
}

/* --- push --------------------------------------------------------------------------------------------------------- */

/* Any call on the socket may swallow the edge of ZMQ_FD; so whoever is owed on_room looks at the events itself. */
static void look_for_room(void *arg)
{
    struct bus_push *push = arg;
    MAGIC_CHECK(push, MAGIC_PUSH);
    bool has_room = socket_events(push->socket) & ZMQ_POLLOUT;
    if (!has_room || !push->is_full || !push->is_connected)
        return;
    push->is_full = false;
    push->depth++;
    if (push->on_room)
        push->on_room(push->arg);
    push->depth--;
}

static void on_push_ready(int fd, short events, void *arg)
{
    (void)fd, (void)events;
    look_for_room(arg);
}

static void free_bytes(void *bytes, void *hint)
{
    (void)hint;
    free(bytes);
}

static int send_now(struct bus_push *push, zmq_msg_t *msg)
{
    int sent;
    do
        sent = zmq_msg_send(msg, push->socket, ZMQ_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    CHECK(sent >= 0 || errno == EAGAIN);
    return sent;
}

enum err bus_push_send(struct bus_push *push, void *bytes, size_t len)
{
    if (!push->is_connected) { /* ZeroMQ would still take some in the moment after a loss, for nobody */
        push->is_full = true;
        free(bytes);
        return ERR_FULL;
    }
    zmq_msg_t msg;
    CHECK(zmq_msg_init_data(&msg, bytes, len, free_bytes, NULL) == 0);
    int sent = send_now(push, &msg);
    /* A send looks at news from ZeroMQ's thread only now and then; asking for the events always does. */
    if (sent < 0 && socket_events(push->socket) & ZMQ_POLLOUT)
        sent = send_now(push, &msg);
    if (sent >= 0) {
        if (push->is_full)
            loop_defer(push->bus->loop, &push->task);
        return ERR_OK;
    }
    zmq_msg_close(&msg);
    push->is_full = true;
    loop_defer(push->bus->loop, &push->task);
    return ERR_FULL;
}

/* --- what becomes of a push's connection -------------------------------------------------------------------------- */

static void tell(struct bus_push *push, bool is_connected)
{
    if (push->is_connected == is_connected)
        return;
    push->is_connected = is_connected;
    if (is_connected)
        loop_defer(push->bus->loop, &push->task);
    if (push->on_event)
        push->on_event(push->arg, is_connected ? BUS_CONNECTED : BUS_DISCONNECTED);
}

/* An event is two frames: number and value, then the address. */
static bool monitor_one(struct bus_push *push)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    int n = zmq_msg_recv(&msg, push->monitor, ZMQ_DONTWAIT);
    bool may_go_on = n >= 0 || errno == EINTR;
    uint16_t number = 0;
    if (n >= (int)sizeof number && zmq_msg_more(&msg))
        memcpy(&number, zmq_msg_data(&msg), sizeof number);
    zmq_msg_close(&msg);
    if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
        tell(push, true);
    else if (number == ZMQ_EVENT_DISCONNECTED)
        tell(push, false);
    return may_go_on;
}

static void monitor_some(void *arg)
{
    struct bus_push *push = arg;
    MAGIC_CHECK(push, MAGIC_PUSH);
    push->depth++;
    int left = BURST;
    while (push->monitor && left && monitor_one(push))
        left--;
    push->depth--;
    if (push->monitor && !left)
        loop_defer(push->bus->loop, &push->monitor_task);
}

static void on_monitor_ready(int fd, short events, void *arg)
{
    (void)fd, (void)events;
    monitor_some(arg);
}

static enum err start_monitor(struct bus *bus, void *socket, void **monitor_r)
{
    char name[32];
    snprintf(name, sizeof name, "inproc://monitor-%u", bus->monitors_made++);
    enum err err = open_socket(bus, ZMQ_PAIR, name, monitor_r);
    if (err != ERR_OK)
        return err;
    if (zmq_socket_monitor(socket, name, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) ||
        zmq_connect(*monitor_r, name)) {
        log_error("cannot watch a socket", F_STR("reason", zmq_strerror(errno)));
        close_socket(bus, monitor_r);
        return ERR_SYSTEM;
    }
    return ERR_OK;
}

static enum err open_push(struct bus *bus, const char *endpoint, int hwm, void **socket_r, void **monitor_r)
{
    enum err err = open_socket(bus, ZMQ_PUSH, endpoint, socket_r);
    if (err != ERR_OK)
        return err;
    set_int(*socket_r, ZMQ_SNDHWM, hwm);
    set_int(*socket_r, ZMQ_IMMEDIATE, 1);
    set_int(*socket_r, ZMQ_RECONNECT_IVL, RECONNECT_MIN_MS);
    set_int(*socket_r, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    err = start_monitor(bus, *socket_r, monitor_r);
    if (err == ERR_OK && zmq_connect(*socket_r, endpoint)) {
        log_limited(LOG_ERROR, "cannot connect", F_STR("endpoint", endpoint), F_STR("reason", zmq_strerror(errno)));
        close_socket(bus, monitor_r);
        err = ERR_INVALID;
    }
    if (err != ERR_OK)
        close_socket(bus, socket_r);
    return err;
}

enum err bus_push_connect(struct bus *bus, const char *endpoint, int hwm, bus_event_fn *on_event, loop_fn *on_room,
                          void *arg, struct bus_push **push_r)
{
    void *socket, *monitor;
    enum err err = open_push(bus, endpoint, hwm, &socket, &monitor);
    if (err != ERR_OK)
        return err;
    struct bus_push *push = xcalloc(1, sizeof *push);
    *push = (struct bus_push){.magic = MAGIC_PUSH, .bus = bus, .socket = socket, .monitor = monitor};
    push->on_event = on_event;
    push->on_room = on_room;
    push->arg = arg;
    loop_task_init(&push->task, look_for_room, push);
    loop_task_init(&push->monitor_task, monitor_some, push);
    loop_fd_init(bus->loop, &push->watch, socket_fd(socket), on_push_ready, push);
    loop_fd_init(bus->loop, &push->monitor_watch, socket_fd(monitor), on_monitor_ready, push);
    loop_fd_want(&push->watch, LOOP_READ);
    loop_fd_want(&push->monitor_watch, LOOP_READ);
    loop_defer(bus->loop, &push->monitor_task);
    *push_r = push;
    return ERR_OK;
}

static void push_destroy(void *arg)
{
    struct bus_push *push = arg;
    push->magic = 0;
    free(push);
}

void bus_push_free(struct bus_push **push)
{
    struct bus_push *p = *push;
    *push = NULL;
    if (!p)
        return;
    loop_fd_release(&p->watch);
    loop_fd_release(&p->monitor_watch);
    loop_task_cancel(p->bus->loop, &p->task);
    loop_task_cancel(p->bus->loop, &p->monitor_task);
    zmq_socket_monitor(p->socket, NULL, 0);
    close_socket(p->bus, &p->monitor);
    close_socket(p->bus, &p->socket);
    if (p->depth) {
        loop_task_init(&p->reap_task, push_destroy, p);
        loop_reap(p->bus->loop, &p->reap_task);
    } else {
        push_destroy(p);
    }
}
