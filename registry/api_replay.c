/*
 * POST /api/v1/dlq/replay?limit=&reason=&key=&source=&offset=&dryRun=true: produces matching dead letters again, the
 * oldest first, so that the order of a key stands. Of more than `limit` the oldest go; letters that went without their
 * value are skipped.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/check.h"
#include "common/log.h"
#include "registry/api_dlq.h"

enum { REPLAY_MAGIC = 0x5245504c, LIMIT = 100 };

struct replay {
    uint32_t magic;
    struct api *api;
    struct admin_request *request;
    bool is_dry, is_handing_out; /* answers may come while letters are still given to the producer */
    size_t limit, matched, skipped, waiting, done, failed;
    json_t *rows;
};

static void finish_when_done(struct replay *r)
{
    if (r->is_handing_out || r->waiting > 0)
        return;
    if (!r->is_dry)
        log_info("dead letters replayed", F_UINT("matched", r->matched), F_UINT("replayed", r->done),
                 F_UINT("failed", r->failed));
    r->api->replays--;
    json_t *document = json_pack("{s:b, s:I, s:I, s:I, s:I, s:o, s:s}", "dryRun", r->is_dry, "matched",
                                 (json_int_t)r->matched, "replayed", (json_int_t)r->done, "failed",
                                 (json_int_t)r->failed, "skipped", (json_int_t)r->skipped, "letters", r->rows, "topic",
                                 r->api->settings->push_topic);
    api_reply_json(r->request, 200, document);
    r->magic = 0;
    free(r);
}

static void acknowledged(void *arg, enum err err)
{
    struct replay *r = arg;
    MAGIC_CHECK(r, REPLAY_MAGIC);
    metric_add_labelled(METRIC_REPLAYS, err ? PUSH_FAILED : PUSH_OK, 1);
    r->waiting--;
    r->done += err == ERR_OK;
    r->failed += err != ERR_OK;
    finish_when_done(r);
}

static void produce(struct replay *r, const struct letter *letter)
{
    const struct kafka_record *record = &letter->found->record;
    struct kafka_header headers[LETTER_HEADERS_MAX + 1];
    size_t count = letter_replay_headers(letter, headers);
    r->waiting++;
    enum err err = kafka_produce(r->api->producer, r->api->settings->push_topic, record->key, record->key_len,
                                 record->value, record->len, headers, count, acknowledged, r);
    if (err)
        acknowledged(r, err);
}

static void take(struct replay *r, const struct kafka_found *found, const struct letter_filter *filter)
{
    struct letter letter;
    letter_read(&letter, found);
    if (r->matched >= r->limit || !letter_matches(&letter, filter))
        return;
    r->matched++;
    if (letter_is_valueless(&letter)) {
        r->skipped++;
        return;
    }
    json_array_append_new(r->rows, letter_row(&letter));
    if (!r->is_dry)
        produce(r, &letter);
}

/* found is ordered newest first; within a partition that is the order of offsets, for timestamps of one producer grow,
 * but not when there are several routers: so here by partition and offset. */
static int order(const void *left, const void *right)
{
    const struct kafka_record *a = &(*(const struct kafka_found *const *)left)->record;
    const struct kafka_record *b = &(*(const struct kafka_found *const *)right)->record;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static void on_read(void *arg, enum err err, const struct kafka_found *found, size_t count)
{
    struct replay *r = arg;
    MAGIC_CHECK(r, REPLAY_MAGIC);
    if (err && err != ERR_REFUSED) {
        api_refuse(r->request, 503, REFUSAL_AWAY, "Kafka cannot be read");
        r->api->replays--;
        json_decref(r->rows);
        free(r);
        return;
    }
    struct letter_filter filter;
    api_dlq_filter(r->request, &filter);
    const struct kafka_found **sorted = xcalloc(count + 1, sizeof(*sorted));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &found[i];
    qsort(sorted, count, sizeof(*sorted), order);
    r->is_handing_out = true;
    for (size_t i = 0; i < count; i++)
        take(r, sorted[i], &filter);
    r->is_handing_out = false;
    free(sorted);
    finish_when_done(r);
}

static bool is_allowed(struct api *api, struct admin_request *request, bool is_dry)
{
    /* a page of another site can make a browser send a form here, but not one with this type */
    const char *type = admin_header(request, "Content-Type");
    if (!api->settings->is_write_enabled && !api->settings->is_try_enabled && !is_dry)
        api_refuse(request, 403, REFUSAL_DISABLED, "replaying is switched off: start the registry with api.write");
    else if (!type || strncasecmp(type, "application/json", 16) != 0)
        api_refuse(request, 415, REFUSAL_BAD, "Content-Type: application/json");
    else if (api->replays > 0)
        api_refuse(request, 503, REFUSAL_BUSY, "another replay is under way");
    else
        return true;
    return false;
}

void api_dlq_replay(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_REPLAY);
    const char *dry = admin_query(request, "dryRun");
    bool is_dry = dry && strcmp(dry, "true") == 0;
    int64_t limit;
    if (!is_allowed(api, request, is_dry))
        return;
    if (!api_parse_limit(admin_query(request, "limit"), LIMIT, api->settings->dlq_scan, &limit)) {
        api_refuse(request, 400, REFUSAL_BAD, "limit is a number from 1 to dlq.scan");
        return;
    }
    struct replay *r = xcalloc(1, sizeof(*r));
    *r = (struct replay){.magic = REPLAY_MAGIC,
                         .api = api,
                         .request = request,
                         .is_dry = is_dry,
                         .limit = (size_t)limit,
                         .rows = json_array()};
    const struct kafka_read wanted = {
        .topic = api->settings->dlq_topic, .partition = -1, .offset = -1, .count = (uint32_t)api->settings->dlq_scan};
    api->replays++;
    enum err err = kafka_read(api->reader, &wanted, on_read, r);
    if (err)
        on_read(r, err, NULL, 0);
}
