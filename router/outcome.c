#include "router/outcome.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "router/metrics.h"

enum { OUTCOME_LOG_MAGIC = 0x4f55544c };

struct outcome_log {
    unsigned magic;
    struct loop *loop;
    struct kafka_producer *producer;
    char *topic, *router;
    bool publish_all;
    uint32_t publishing, publishing_max;
    bool is_closed;  /* freed with the last one under way */
    struct buf json; /* reused */
};

const char *const outcome_labels[] = {
#define X(name, label) [OUTCOME_##name] = label,
    OUTCOME_LIST(X)
#undef X
        [OUTCOME_KIND_COUNT] = NULL};

const char *outcome_label(enum outcome_kind kind)
{
    return outcome_labels[kind];
}

struct outcome_log *outcome_log_new(struct loop *loop, struct kafka_producer *producer,
                                    const struct outcome_settings *settings)
{
    struct outcome_log *log = xcalloc(1, sizeof *log);
    log->magic = OUTCOME_LOG_MAGIC;
    log->loop = loop;
    log->producer = producer;
    log->topic = xstrdup(settings->topic);
    log->router = xstrdup(settings->router);
    log->publish_all = settings->publish_all;
    log->publishing_max = settings->publishing_max;
    buf_init(&log->json);
    return log;
}

static void destroy(struct outcome_log *log)
{
    log->magic = 0;
    buf_release(&log->json);
    free(log->topic);
    free(log->router);
    free(log);
}

void outcome_log_free(struct outcome_log **log_p)
{
    struct outcome_log *log = *log_p;
    if (!log)
        return;
    *log_p = NULL;
    log->is_closed = true;
    if (log->publishing == 0)
        destroy(log);
}

static void add_str(struct buf *json, const char *name, const char *at, size_t len)
{
    if (len == 0)
        return;
    if (json->len > 1)
        buf_add_char(json, ',');
    buf_add_json_str(json, name, strlen(name));
    buf_add_char(json, ':');
    buf_add_json_str(json, at, len);
}

static void add_number(struct buf *json, const char *name, uint64_t value)
{
    buf_add_char(json, ',');
    buf_add_json_str(json, name, strlen(name));
    buf_add_char(json, ':');
    buf_add_uint(json, value);
}

/* Members that do not apply are left out. */
static void build(struct outcome_log *log, const struct outcome *outcome)
{
    struct buf *json = &log->json;
    const char *label = outcome_label(outcome->kind);
    buf_clear(json);
    buf_add_char(json, '{');
    add_str(json, "id", outcome->id.at, outcome->id.len);
    add_str(json, "user", outcome->user.at, outcome->user.len);
    add_str(json, "device", outcome->device.at, outcome->device.len);
    add_str(json, "outcome", label, strlen(label));
    if (outcome->reason)
        add_str(json, "reason", outcome->reason, strlen(outcome->reason));
    if (outcome->seq > 0)
        add_number(json, "seq", outcome->seq);
    int64_t now_ms = (int64_t)loop_wall_ms(log->loop);
    if (outcome->timestamp_ms > 0) /* clocks of two machines: never negative */
        add_number(json, "latencyMs", now_ms > outcome->timestamp_ms ? (uint64_t)(now_ms - outcome->timestamp_ms) : 0);
    add_str(json, "router", log->router, strlen(log->router));
    if (outcome->instance)
        add_str(json, "instance", outcome->instance, strlen(outcome->instance));
    if (outcome->source)
        add_str(json, "offset", outcome->source, strlen(outcome->source));
    buf_add_char(json, '}');
}

static void on_published(void *arg, enum err err)
{
    struct outcome_log *log = arg;
    MAGIC_CHECK(log, OUTCOME_LOG_MAGIC);
    log->publishing--;
    metric_add(err == ERR_OK ? METRIC_OUTCOMES_PUBLISHED : METRIC_OUTCOMES_UNPUBLISHED, 1);
    if (log->is_closed && log->publishing == 0)
        destroy(log);
}

static void publish(struct outcome_log *log, const struct outcome *outcome)
{
    enum err err = ERR_FULL;
    if (log->publishing < log->publishing_max) {
        build(log, outcome);
        const char *key = outcome->user.len > 0 ? outcome->user.at : NULL;
        err = kafka_produce(log->producer, log->topic, key, outcome->user.len, log->json.bytes, log->json.len, NULL, 0,
                            on_published, log);
    }
    if (err == ERR_OK) {
        log->publishing++;
        return;
    }
    metric_add(METRIC_OUTCOMES_UNPUBLISHED, 1);
    log_limited(LOG_WARN, "outcome not published", F_ERR(err), F_STR("outcome", outcome_label(outcome->kind)));
}

void outcome_report(struct outcome_log *log, const struct outcome *outcome)
{
    if (!outcome->is_later)
        metric_add_labelled(METRIC_OUTCOMES, outcome->kind, 1);
    if (log->publish_all || outcome->is_wanted)
        publish(log, outcome);
}

static struct push_str str_of(const char *text)
{
    return (struct push_str){text, (uint32_t)strlen(text)};
}

void outcome_report_late(struct outcome_log *log, const char *instance, const Herald__V1__BoxFate *fate)
{
    bool is_expired = fate->kind == HERALD__V1__BOX_FATE_KIND__BOX_FATE_EXPIRED;
    if (!is_expired && fate->kind != HERALD__V1__BOX_FATE_KIND__BOX_FATE_ACKED)
        return; /* of a newer gateway */
    const struct outcome outcome = {.kind = is_expired ? OUTCOME_EXPIRED : OUTCOME_ACKED,
                                    .reason = "mailbox",
                                    .id = str_of(fate->id),
                                    .user = str_of(fate->user),
                                    .device = str_of(fate->device),
                                    .seq = fate->seq,
                                    .timestamp_ms = fate->timestamp_ms,
                                    .instance = instance,
                                    .source = fate->source,
                                    .is_wanted = fate->outcome};
    metric_add(is_expired ? METRIC_BOX_EXPIRED : METRIC_BOX_ACKED, 1);
    if (log->publish_all || outcome.is_wanted)
        publish(log, &outcome);
}
