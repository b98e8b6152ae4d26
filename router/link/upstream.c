#include "router/link/upstream.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/metric.h"
#include "common/slab.h"
#include "router/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { ASKED_MAGIC = 0x75707374 };

struct upstream {
    struct kafka_producer *producer;
    struct lanes *lanes;
    const char *topic;
    uint32_t pending, pending_max;
    struct slab *asked;
    struct buf json;
};

/* Who gets the answer. */
struct asked {
    uint32_t magic, number;
    uint64_t generation, request;
    struct upstream *upstream;
};

struct upstream *upstream_new(struct kafka_producer *producer, struct lanes *lanes, const char *topic,
                              uint32_t pending_max)
{
    struct upstream *upstream = xcalloc(1, sizeof(*upstream));
    upstream->producer = producer;
    upstream->lanes = lanes;
    upstream->topic = topic;
    upstream->pending_max = pending_max;
    upstream->asked = slab_new("upstream", sizeof(struct asked));
    buf_init(&upstream->json);
    return upstream;
}

void upstream_free(struct upstream **upstream)
{
    if (!*upstream)
        return;
    slab_free(&(*upstream)->asked);
    buf_release(&(*upstream)->json);
    free(*upstream);
    *upstream = NULL;
}

uint32_t upstream_pending(const struct upstream *upstream)
{
    return upstream->pending;
}

static void answer(struct upstream *upstream, uint32_t number, uint64_t generation, uint64_t request,
                   enum upstream_answer what)
{
    static const uint32_t codes[] = {
#define X(name, code) code,
        UPSTREAM_ANSWER_LIST(X)
#undef X
    };
    metric_add_labelled(METRIC_UPSTREAMS, what, 1);
    lanes_upstream_result(upstream->lanes, number, generation, request, codes[what]);
}

static void on_delivered(void *arg, enum err err)
{
    struct asked *asked = arg;
    MAGIC_CHECK(asked, ASKED_MAGIC);
    struct upstream *upstream = asked->upstream;
    enum upstream_answer what = err == ERR_OK ? UPSTREAM_OK : err == ERR_TOO_LARGE ? UPSTREAM_TOO_LARGE : UPSTREAM_AWAY;
    if (err != ERR_CLOSED) /* shutting down: the lanes may be gone */
        answer(upstream, asked->number, asked->generation, asked->request, what);
    asked->magic = 0;
    upstream->pending--;
    slab_put(upstream->asked, asked);
}

static void add_member(struct buf *json, const char *name, const char *value)
{
    buf_add_char(json, json->len == 0 ? '{' : ',');
    buf_add_json_str(json, name, strlen(name));
    buf_add_char(json, ':');
    buf_add_json_str(json, value, strlen(value));
}

static void write_json(struct buf *json, const char *instance, const Herald__V1__Upstream *message)
{
    buf_clear(json);
    add_member(json, "user", message->user);
    add_member(json, "device", message->device);
    add_member(json, "instance", instance);
    add_member(json, "id", message->id);
    buf_add_str(json, ",\"content\":");
    if (message->content.len > 0)
        buf_add(json, message->content.data, message->content.len);
    else
        buf_add_str(json, "null");
    buf_add_str(json, ",\"timestamp\":");
    buf_add_int(json, message->timestamp_ms);
    buf_add_char(json, '}');
}

void upstream_take(struct upstream *upstream, uint32_t number, uint64_t generation, const Herald__V1__Upstream *message)
{
    if (upstream->pending >= upstream->pending_max) {
        answer(upstream, number, generation, message->request, UPSTREAM_AWAY);
        return;
    }
    struct asked *asked = slab_get(upstream->asked);
    *asked = (struct asked){.magic = ASKED_MAGIC,
                            .number = number,
                            .generation = generation,
                            .request = message->request,
                            .upstream = upstream};
    write_json(&upstream->json, lanes_name(upstream->lanes, number), message);
    upstream->pending++;
    enum err err = kafka_produce(upstream->producer, upstream->topic, message->user, strlen(message->user),
                                 upstream->json.bytes, upstream->json.len, NULL, 0, on_delivered, asked);
    if (err)
        on_delivered(asked, err);
}
