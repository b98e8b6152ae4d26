#include "bench/instructions/fake_bus.h"

#include <stdlib.h>

#include "common/check.h"

enum { SENT_MAX = 4096, PUSHES_MAX = 16 };

struct bus_push {
    char *endpoint;
    bus_event_fn *on_event;
    void *arg;
    bool is_connected;
};

static struct {
    bus_recv_fn *fn;
    void *arg;
    struct bus_push pushes[PUSHES_MAX];
    uint32_t push_count, sent_count, taken_count;
    struct {
        const struct bus_push *push;
        char *bytes;
        size_t len;
    } sent[SENT_MAX];
} fake;

void fake_bus_connected(void)
{
    for (uint32_t i = 0; i < fake.push_count; i++) {
        if (!fake.pushes[i].is_connected)
            fake.pushes[i].on_event(fake.pushes[i].arg, BUS_CONNECTED);
        fake.pushes[i].is_connected = true;
    }
}

void fake_bus_receive(const void *bytes, size_t len)
{
    fake.fn(fake.arg, bytes, len);
}

char *fake_bus_take(size_t *len_r, const char **to_r)
{
    if (fake.taken_count == fake.sent_count) {
        fake.taken_count = fake.sent_count = 0;
        return NULL;
    }
    uint32_t i = fake.taken_count++;
    *len_r = fake.sent[i].len;
    *to_r = fake.sent[i].push->endpoint;
    return fake.sent[i].bytes;
}

/* --- common/bus.h --- */

struct bus *bus_new(struct loop *loop)
{
    return (struct bus *)(void *)loop;
}

void bus_free(struct bus **bus)
{
    *bus = NULL;
}

enum err bus_pull_bind(struct bus *bus, const char *endpoint, int hwm, size_t max_len, bus_recv_fn *fn, void *arg,
                       struct bus_pull **pull_r)
{
    (void)bus, (void)endpoint, (void)hwm, (void)max_len;
    fake.fn = fn;
    fake.arg = arg;
    *pull_r = (struct bus_pull *)(void *)&fake;
    return ERR_OK;
}

uint16_t bus_pull_port(const struct bus_pull *pull)
{
    (void)pull;
    return 1;
}

void bus_pull_free(struct bus_pull **pull)
{
    *pull = NULL;
}

enum err bus_push_connect(struct bus *bus, const char *endpoint, int hwm, bus_event_fn *on_event, loop_fn *on_room,
                          void *arg, struct bus_push **push_r)
{
    (void)bus, (void)hwm, (void)on_room;
    CHECK(fake.push_count < PUSHES_MAX);
    *push_r = &fake.pushes[fake.push_count++];
    **push_r = (struct bus_push){.endpoint = xstrdup(endpoint), .on_event = on_event, .arg = arg};
    return ERR_OK;
}

enum err bus_push_send(struct bus_push *push, void *bytes, size_t len)
{
    CHECK(fake.sent_count < SENT_MAX);
    fake.sent[fake.sent_count].push = push;
    fake.sent[fake.sent_count].bytes = bytes;
    fake.sent[fake.sent_count++].len = len;
    return ERR_OK;
}

void bus_push_free(struct bus_push **push)
{
    *push = NULL;
}
