#include "bench/client.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/opener.h"
#include "common/check.h"
#include "common/clock.h"

enum { EVENTS_MAX = 512 };

void client_closed(struct client *client, struct client_conn *conn, uint64_t retry_ms)
{
    const struct plan *plan = client->plan;
    if (conn->state == CLIENT_UP)
        tally_add(&client->tally->up, (uint64_t)-1);
    else
        opener_done(client->opener);
    tally_add(&client->tally->closed, 1);
    if (conn->fd >= 0)
        close(conn->fd);
    free(conn->rest);
    conn->rest = NULL;
    conn->rest_len = 0;
    conn->seq = 0;
    conn->fd = -1;
    conn->state = CLIENT_CLOSED;
    if (plan->reconnect_ms > 0)
        opener_later(client->opener, conn, retry_ms + (uint64_t)random() % plan->reconnect_ms);
}

void client_up(struct client *client, struct client_conn *conn)
{
    conn->state = CLIENT_UP;
    tally_add(&client->tally->up, 1);
    tally_add(&client->tally->opened, 1);
    opener_done(client->opener);
}

static void serve(struct client *client, struct client_conn *conn, uint32_t events)
{
    if (conn->state == CLIENT_CONNECTING) {
        if (events & (EPOLLERR | EPOLLHUP))
            client_closed(client, conn, 0);
        else
            opener_greet(client->opener, conn);
    } else if (conn->state != CLIENT_CLOSED)
        client_read(client, conn);
}

static void turn(struct client *client)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t wait_us = opener_turn(client->opener);
    struct timespec wait = {.tv_sec = (time_t)(wait_us / 1000000), .tv_nsec = (long)(wait_us % 1000000) * 1000};
    int n = epoll_pwait2(client->epoll, events, EVENTS_MAX, &wait, NULL);
    client->now_us = clock_mono_us();
    for (int i = 0; i < n; i++)
        serve(client, &client->conns[events[i].data.u32], events[i].events);
    if (client->plan->rest_us > 0) {
        struct timespec rest = {.tv_nsec = (long)client->plan->rest_us * 1000};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
    }
}

_Noreturn void client_run(const struct plan *plan, uint32_t first, uint32_t count, struct tally *tally)
{
    struct client client = {.plan = plan, .tally = tally, .first = first, .count = count, .now_us = clock_mono_us()};
    unsigned seed = first;
    (void)!getrandom(&seed, sizeof seed, 0);
    srandom(seed);
    client.conns = xcalloc(count, sizeof *client.conns);
    client.orders = xcalloc((size_t)count * (plan->stream_count + 1), sizeof *client.orders);
    client.epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(client.epoll >= 0);
    client.opener = opener_new(&client);
    for (;;)
        turn(&client);
}
