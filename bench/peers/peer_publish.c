#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/peers/peer.h"
#include "common/buf.h"
#include "common/check.h"
#include "common/kafka.h"
#include "common/loop.h"

enum { TEXT_MAX = 4096, POSTS = 4, QUEUED_MAX = 1 << 20, FLUSH_MS = 1000, NAME_MAX_LEN = 64 };

/* Requests go one after the other, without waiting for the answers; what is for one user always on the same connection,
 * and what is for all on the first, so that their order is kept. */
struct post {
    int fd;
    struct buf out;
    size_t sent;
};

struct publisher {
    struct peer *peer;
    struct loop *loop;
    struct loop_task nothing;
    struct kafka_producer *producer; /* NULL: HTTP */
    struct post posts[POSTS];
};

static void do_nothing(void *arg)
{
    (void)arg;
}

/* 5 ms is librdkafka's own default; kafka_producer_new() would choose 0. */
static struct kafka_producer *producer_of(const struct peer_plan *plan, struct loop *loop)
{
    char linger[] = "linger.ms=5", *properties[] = {linger};
    struct kafka_options options = {.brokers = (char *)(uintptr_t)plan->brokers, .properties = {properties, 1}};
    struct kafka_producer *producer;
    CHECK(kafka_producer_new(loop, &options, &producer) == ERR_OK);
    return producer;
}

struct publisher *publisher_new(struct peer *peer)
{
    struct publisher *publisher = xcalloc(1, sizeof(*publisher));
    publisher->peer = peer;
    publisher->loop = loop_new();
    loop_task_init(&publisher->nothing, do_nothing, NULL);
    if (peer->plan.brokers) {
        publisher->producer = producer_of(&peer->plan, publisher->loop);
        return publisher;
    }
    for (int i = 0; i < POSTS; i++) {
        publisher->posts[i].fd = peer_connect(peer);
        CHECK(publisher->posts[i].fd >= 0);
        fcntl(publisher->posts[i].fd, F_SETFL, O_NONBLOCK);
        buf_init(&publisher->posts[i].out);
    }
    return publisher;
}

void publisher_free(struct publisher **publisher)
{
    struct publisher *mine = *publisher;
    *publisher = NULL;
    if (!mine)
        return;
    if (mine->producer)
        kafka_producer_free(&mine->producer, FLUSH_MS);
    for (int i = 0; i < POSTS && mine->posts[i].fd > 0; i++) {
        close(mine->posts[i].fd);
        buf_release(&mine->posts[i].out);
    }
    loop_free(&mine->loop);
    free(mine);
}

static bool produce(struct publisher *publisher, const struct peer_form *form, uint32_t i, const char *content)
{
    const struct peer *peer = publisher->peer;
    char key[NAME_MAX_LEN], value[TEXT_MAX];
    size_t key_len = peer_expand(peer, form->key, i, "", key, sizeof(key));
    size_t len = peer_expand(peer, form->value, i, content, value, sizeof(value));
    return kafka_produce(publisher->producer, peer->plan.topic, key, key_len, value, len, NULL, 0, NULL, NULL) ==
           ERR_OK;
}

static bool post(struct publisher *publisher, const struct peer_form *form, uint32_t i, const char *content)
{
    char path[TEXT_MAX], head[TEXT_MAX];
    struct post *p = &publisher->posts[i % POSTS];
    if (p->out.len - p->sent > QUEUED_MAX)
        return false;
    (void)peer_expand(publisher->peer, form->path, i, "", path, TEXT_MAX / 2);
    int len = snprintf(head, sizeof(head), "POST %.2000s HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n", path,
                       strlen(content));
    buf_add(&p->out, head, (size_t)len);
    buf_add(&p->out, content, strlen(content));
    return true;
}

bool publisher_send(struct publisher *publisher, bool is_all, uint32_t i, const char *content)
{
    const struct peer_form *form = is_all ? &publisher->peer->plan.all : &publisher->peer->plan.one;
    return publisher->producer ? produce(publisher, form, i, content) : post(publisher, form, is_all ? 0 : i, content);
}

static void turn_post(struct post *p)
{
    char answers[65536];
    while (recv(p->fd, answers, sizeof(answers), MSG_DONTWAIT) > 0)
        ;
    if (p->sent == p->out.len)
        return;
    ssize_t n = send(p->fd, p->out.bytes + p->sent, p->out.len - p->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    CHECK(n > 0 || errno == EAGAIN);
    p->sent += n > 0 ? (size_t)n : 0;
    if (p->sent == p->out.len) {
        buf_clear(&p->out);
        p->sent = 0;
    }
}

void publisher_turn(struct publisher *publisher)
{
    if (publisher->producer) { /* a turn with a task does not wait */
        loop_defer(publisher->loop, &publisher->nothing);
        loop_turn(publisher->loop);
        return;
    }
    for (int i = 0; i < POSTS; i++)
        turn_post(&publisher->posts[i]);
}
