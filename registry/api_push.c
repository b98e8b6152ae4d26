/* POST /api/v1/push: produces the record in the body, for the try page. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/check.h"
#include "registry/api_reply.h"
#include "registry/record.h"

enum { DELIVERY_MAGIC = 0x44454c49 };

/* A request that waits for Kafka's acknowledgement. */
struct delivery {
    uint32_t magic;
    struct api *api;
    struct admin_request *request;
    char *id;
};

static void close_delivery(struct delivery **delivery)
{
    struct delivery *d = *delivery;
    d->api->pushes--;
    d->magic = 0;
    free(d->id);
    free(d);
    *delivery = NULL;
}

static void acknowledged(void *arg, enum err err)
{
    struct delivery *d = arg;
    MAGIC_CHECK(d, DELIVERY_MAGIC);
    metric_add_labelled(METRIC_PUSHES, err ? PUSH_FAILED : PUSH_OK, 1);
    if (err == ERR_TOO_LARGE)
        api_refuse(d->request, 413, REFUSAL_TOO_LARGE, "larger than Kafka takes");
    else if (err)
        api_refuse(d->request, 503, REFUSAL_AWAY, "Kafka did not acknowledge the record");
    else
        api_reply_json(d->request, 200, json_pack("{s:s, s:s}", "id", d->id, "topic", d->api->settings->push_topic));
    close_delivery(&d);
}

static void produce(struct api *api, struct admin_request *request, const struct record *record)
{
    struct delivery *d = xcalloc(1, sizeof(*d));
    *d = (struct delivery){.magic = DELIVERY_MAGIC, .api = api, .request = request, .id = xstrdup(record->id)};
    api->pushes++;
    enum err err = kafka_produce(api->producer, api->settings->push_topic, record->key, strlen(record->key),
                                 record->text.bytes, record->text.len, NULL, 0, acknowledged, d);
    if (err)
        acknowledged(d, err);
}

/* A page of another site can make a browser send a form here, but not one with this type. */
static bool is_json(struct admin_request *request)
{
    const char *type = admin_header(request, "Content-Type");
    return type && strncasecmp(type, "application/json", 16) == 0;
}

void api_push_post(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_PUSH);
    size_t len;
    const char *body = admin_body(request, &len), *why = NULL;
    if (!api_check_try(api, request))
        return;
    if (!is_json(request)) {
        api_refuse(request, 415, REFUSAL_BAD, "the record is JSON: Content-Type: application/json");
        return;
    }
    if (len > (size_t)api->settings->push_bytes_max) {
        api_refuse(request, 413, REFUSAL_TOO_LARGE, "larger than try.push_bytes");
        return;
    }
    if (api->pushes >= (uint32_t)api->settings->pushes_max) {
        api_refuse(request, 503, REFUSAL_BUSY, "too many records wait for Kafka");
        return;
    }
    uint64_t random = 0;
    CHECK(getrandom(&random, sizeof(random), 0) == sizeof(random));
    char id[32];
    snprintf(id, sizeof(id), "try-%016" PRIx64, random);
    struct record record;
    record_init(&record);
    if (record_read(&record, body, len, id, &why) == ERR_OK)
        produce(api, request, &record);
    else
        api_refuse(request, 400, REFUSAL_BAD, why);
    record_release(&record);
}
