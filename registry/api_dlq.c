/*
 * GET /api/v1/dlq?limit=&reason=&key=&source=&offset=: the newest dead letters that match.
 * GET /api/v1/dlq/<partition>/<offset>: one, whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "registry/api_dlq.h"

enum { LOOK_MAGIC = 0x4c4f4f4b, LIMIT = 20 };

/* A request that waits for the reader. */
struct look {
    uint32_t magic;
    struct api *api;
    struct admin_request *request;
    size_t limit;
};

static void finish(struct look *look, int code, json_t *document)
{
    api_reply_json(look->request, code, document);
    look->magic = 0;
    free(look);
}

static void fail(struct look *look, int code, enum metric_refusal refusal, const char *text)
{
    api_refuse(look->request, code, refusal, text);
    look->magic = 0;
    free(look);
}

void api_dlq_filter(struct admin_request *request, struct letter_filter *filter)
{
    *filter = (struct letter_filter){.reason = admin_query(request, "reason"),
                                     .key = admin_query(request, "key"),
                                     .source = admin_query(request, "source"),
                                     .offset = admin_query(request, "offset")};
}

bool api_parse_limit(const char *text, int64_t fallback, int64_t max, int64_t *limit_r)
{
    char *end;
    *limit_r = fallback < max ? fallback : max;
    if (!text)
        return true;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 1 || value > max)
        return false;
    *limit_r = value;
    return true;
}

static void on_list(void *arg, enum err err, const struct kafka_found *found, size_t count)
{
    struct look *look = arg;
    MAGIC_CHECK(look, LOOK_MAGIC);
    if (err && err != ERR_REFUSED) { /* refused: there is no such topic, so no letter */
        fail(look, 503, REFUSAL_AWAY, "Kafka cannot be read");
        return;
    }
    struct letter_filter filter;
    api_dlq_filter(look->request, &filter);
    json_t *rows = json_array();
    for (size_t i = 0; i < count && json_array_size(rows) < look->limit; i++) {
        struct letter letter;
        letter_read(&letter, &found[i]);
        if (letter_matches(&letter, &filter))
            json_array_append_new(rows, letter_row(&letter));
    }
    finish(look, 200,
           json_pack("{s:s, s:o, s:I, s:I}", "topic", look->api->settings->dlq_topic, "letters", rows, "scanned",
                     (json_int_t)count, "timestamp", (json_int_t)loop_wall_ms(look->api->loop)));
}

static void on_one(void *arg, enum err err, const struct kafka_found *found, size_t count)
{
    struct look *look = arg;
    MAGIC_CHECK(look, LOOK_MAGIC);
    struct letter letter;
    if (err && err != ERR_REFUSED) {
        fail(look, 503, REFUSAL_AWAY, "Kafka cannot be read");
    } else if (count == 0) {
        admin_reply_error(look->request, 404, "no such dead letter");
        free(look);
    } else {
        letter_read(&letter, &found[0]);
        finish(look, 200, letter_document(&letter));
    }
}

static void start(struct api *api, struct admin_request *request, const struct kafka_read *wanted, kafka_read_fn *fn,
                  size_t limit)
{
    struct look *look = xcalloc(1, sizeof(*look));
    *look = (struct look){.magic = LOOK_MAGIC, .api = api, .request = request, .limit = limit};
    enum err err = kafka_read(api->reader, wanted, fn, look);
    if (err)
        fail(look, 503, err == ERR_FULL ? REFUSAL_BUSY : REFUSAL_AWAY, "too many requests read Kafka");
}

void api_dlq_list(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_DLQ);
    int64_t limit;
    if (!api_parse_limit(admin_query(request, "limit"), LIMIT, api->settings->dlq_scan, &limit)) {
        api_refuse(request, 400, REFUSAL_BAD, "limit is a number from 1 to dlq.scan");
        return;
    }
    const struct kafka_read wanted = {
        .topic = api->settings->dlq_topic, .partition = -1, .offset = -1, .count = (uint32_t)api->settings->dlq_scan};
    start(api, request, &wanted, on_list, (size_t)limit);
}

/* "3/17" */
static bool parse_place(const char *text, struct kafka_read *wanted)
{
    char *end;
    errno = 0;
    long long partition = strtoll(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end != '/' || partition > INT32_MAX)
        return false;
    text = end + 1;
    long long offset = strtoll(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end)
        return false;
    wanted->partition = (int32_t)partition;
    wanted->offset = offset;
    return true;
}

void api_dlq_get(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_DLQ);
    struct kafka_read wanted = {.topic = api->settings->dlq_topic, .count = 1};
    if (parse_place(admin_path_rest(request), &wanted))
        start(api, request, &wanted, on_one, 1);
    else
        api_refuse(request, 400, REFUSAL_BAD, "/api/v1/dlq/<partition>/<offset>");
}
