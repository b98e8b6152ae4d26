#include "router/outcome/outcome.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "common/slab.h"
#include "router/metrics.h"
#include "router/record/sender.h"
#include "router/record/record.h"

enum { OUTCOME_LOG_MAGIC = 0x4f55544c };

struct outcome_log {
    unsigned magic;
    struct loop *loop;
    struct sender *sender;
    struct slab *slab; /* of struct posting */
    char *router;
    bool publish_all;
    uint32_t laters, later_max;
    bool is_closed; /* freed with the last one under way */
    struct outcome_events events;
    void *arg;
    struct buf json; /* reused */
    struct push_str key;
};

/* An outcome that Kafka does not have yet. */
struct posting {
    struct sending sending;
    struct outcome_log *log;
    struct record *record; /* held; NULL: a later one */
    struct outcome_teller teller;
    char *kept; /* key and value, after a failure; until then only the producer has them */
    size_t key_len, len;
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

/* --- what Kafka does not have yet --- */

static struct posting *posting_of(const struct sending *sending)
{
    return container_of((struct sending *)(uintptr_t)sending, struct posting, sending);
}

static void fill(struct sending *sending, struct sender_message *message_r)
{
    const struct posting *p = posting_of(sending);
    const struct outcome_log *log = p->log;
    const char *key = p->kept ? p->kept : log->key.at, *value = p->kept ? p->kept + p->key_len : log->json.bytes;
    *message_r = (struct sender_message){
        .key = p->key_len > 0 ? key : NULL, .key_len = p->key_len, .value = value, .len = p->len};
}

/* Only what failed costs memory of its own. */
static void keep(struct sending *sending, enum err err, const struct sender_message *message)
{
    struct posting *p = posting_of(sending);
    (void)err;
    if (p->kept)
        return;
    p->kept = xmalloc(p->key_len + p->len);
    if (p->key_len > 0)
        memcpy(p->kept, message->key, p->key_len);
    memcpy(p->kept + p->key_len, message->value, p->len);
}

static bool is_wanted(const struct sending *sending)
{
    const struct posting *p = posting_of(sending);
    return !p->record || !p->record->is_orphan;
}

static void destroy(struct outcome_log *log)
{
    log->magic = 0;
    buf_release(&log->json);
    slab_free(&log->slab);
    free(log->router);
    free(log);
}

static void answer(struct outcome_log *log, const struct outcome_teller *teller, bool is_taken)
{
    if (teller->fate)
        log->events.answer(log->arg, teller, is_taken);
}

static void ended(struct sending *sending, bool is_sent)
{
    struct posting *p = posting_of(sending);
    struct outcome_log *log = p->log;
    struct record *record = p->record;
    MAGIC_CHECK(log, OUTCOME_LOG_MAGIC);
    if (!is_sent)
        metric_add(record ? METRIC_OUTCOMES_ABANDONED : METRIC_OUTCOMES_UNPUBLISHED, 1);
    if (is_sent)
        answer(log, &p->teller, true);
    log->laters -= record ? 0 : 1;
    free(p->kept);
    slab_put(log->slab, p);
    if (record)
        log->events.release(log->arg, record);
    if (log->is_closed && slab_in_use(log->slab) == 0)
        destroy(log);
}

static const struct sender_kind sender_kind = {.fill = fill,
                                               .failed = keep,
                                               .is_wanted = is_wanted,
                                               .ended = ended,
                                               .pending_gauge = METRIC_OUTCOMES_PENDING,
                                               .retry_counter = METRIC_OUTCOME_RETRIES,
                                               .sent_counter = METRIC_OUTCOMES_PUBLISHED};

struct outcome_log *outcome_log_new(struct loop *loop, struct kafka_producer *producer,
                                    const struct outcome_settings *settings, const struct outcome_events *events,
                                    void *arg)
{
    struct outcome_log *log = xcalloc(1, sizeof *log);
    log->magic = OUTCOME_LOG_MAGIC;
    log->loop = loop;
    log->sender = sender_new(loop, producer, settings->topic, &sender_kind);
    log->slab = slab_new("outcome", sizeof(struct posting));
    log->router = xstrdup(settings->router);
    log->publish_all = settings->publish_all;
    log->later_max = settings->later_max;
    log->events = *events;
    log->arg = arg;
    buf_init(&log->json);
    return log;
}

void outcome_log_free(struct outcome_log **log_p)
{
    struct outcome_log *log = *log_p;
    if (!log)
        return;
    *log_p = NULL;
    sender_free(&log->sender);
    log->is_closed = true;
    if (slab_in_use(log->slab) == 0)
        destroy(log);
}

/* --- what it says --- */

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

/* "kafkaMs" is the only one between the clocks of two machines, and so never negative. */
static void add_hops(struct outcome_log *log, const struct outcome *outcome, int64_t now_ms)
{
    const struct record *record = outcome->record;
    const struct outcome_hops *hops = outcome->hops;
    if (!record || outcome->timestamp_ms <= 0)
        return;
    int64_t read_ms = now_ms - (int64_t)(loop_now_ms(log->loop) - record->consumed_ms);
    buf_add_str(&log->json, ",\"hops\":{\"kafkaMs\":");
    buf_add_uint(&log->json, read_ms > outcome->timestamp_ms ? (uint64_t)(read_ms - outcome->timestamp_ms) : 0);
    if (hops) {
        add_number(&log->json, "routerMs", hops->router_ms);
        add_number(&log->json, "gatewayMs", hops->gateway_ms);
    }
    if (hops && outcome->kind == OUTCOME_ACKED)
        add_number(&log->json, "clientMs", hops->client_ms);
    buf_add_char(&log->json, '}');
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
    add_hops(log, outcome, now_ms);
    add_str(json, "router", log->router, strlen(log->router));
    if (outcome->instance)
        add_str(json, "instance", outcome->instance, strlen(outcome->instance));
    if (outcome->source)
        add_str(json, "offset", outcome->source, strlen(outcome->source));
    buf_add_char(json, '}');
}

static void publish(struct outcome_log *log, const struct outcome *outcome, const struct outcome_teller *teller)
{
    if (!outcome->record && log->laters >= log->later_max) {
        answer(log, teller, false);
        metric_add(METRIC_OUTCOMES_UNPUBLISHED, teller->fate ? 0 : 1);
        log_limited(LOG_WARN, "later outcome not published: too many wait for Kafka",
                    F_STR("outcome", outcome_label(outcome->kind)));
        return;
    }
    struct posting *p = slab_get(log->slab);
    build(log, outcome);
    log->key = outcome->user;
    *p = (struct posting){
        .log = log, .record = outcome->record, .teller = *teller, .key_len = outcome->user.len, .len = log->json.len};
    if (p->record)
        log->events.hold(log->arg, p->record);
    else
        log->laters++;
    sender_send(log->sender, &p->sending);
}

void outcome_report(struct outcome_log *log, const struct outcome *outcome)
{
    if (!outcome->is_later)
        metric_add_labelled(METRIC_OUTCOMES, outcome->kind, 1);
    if (log->publish_all || outcome->is_wanted)
        publish(log, outcome, &(struct outcome_teller){0});
}

static struct push_str str_of(const char *text)
{
    return (struct push_str){text, (uint32_t)strlen(text)};
}

void outcome_report_late(struct outcome_log *log, const char *instance, const struct outcome_teller *teller,
                         const Herald__V1__BoxFate *fate)
{
    bool is_expired = fate->kind == HERALD__V1__BOX_FATE_KIND__BOX_FATE_EXPIRED;
    if (!is_expired && fate->kind != HERALD__V1__BOX_FATE_KIND__BOX_FATE_ACKED) {
        answer(log, teller, true); /* of a newer gateway */
        return;
    }
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
        publish(log, &outcome, teller);
    else
        answer(log, teller, true);
}
