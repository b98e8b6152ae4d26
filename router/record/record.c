#include "router/record/record.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/check.h"
#include "common/decimal.h"
#include "common/recycle.h"

enum { HEADER_MAX = 32 };

/* The headers that matter; value NULL: absent. */
struct known_headers {
    struct kafka_header type, id;
};

static void find_headers(const struct kafka_record *kafka, struct known_headers *known)
{
    struct kafka_header headers[HEADER_MAX];
    size_t count = kafka_record_headers(kafka, headers, HEADER_MAX);
    *known = (struct known_headers){0};
    for (size_t i = 0; i < count && i < HEADER_MAX; i++) {
        if (!known->type.value && strcasecmp(headers[i].name, "content-type") == 0)
            known->type = headers[i];
        else if (!known->id.value && strcasecmp(headers[i].name, "herald-id") == 0)
            known->id = headers[i];
    }
}

/* A replayed dead letter without an id of its own brings the one it was known by: it counts as given by the producer.
 * One that could not be an id is ignored. */
static void take_id(struct record *record, const struct kafka_header *id, char *to)
{
    if (record->push.id.len > 0 || !id->value || !push_is_id(id->value, id->len))
        return;
    memcpy(to, id->value, id->len);
    to[id->len] = '\0';
    record->push.id = (struct push_str){.at = to, .len = (uint32_t)id->len};
}

static bool is_inside(const char *at, const struct kafka_record *kafka)
{
    const char *value = kafka->value;
    return at >= value && at < value + kafka->len;
}

/* Copies of key and value, so that librdkafka can have its memory back; the content moves along. */
static void keep_bytes(struct record *record, char *bytes)
{
    struct kafka_record *kafka = &record->kafka;
    memcpy(bytes, kafka->value, kafka->len);
    if (is_inside(record->push.content.at, kafka))
        record->push.content.at = bytes + (record->push.content.at - (const char *)kafka->value);
    kafka->value = bytes;
    if (kafka->key)
        kafka->key = memcpy(bytes + kafka->len, kafka->key, kafka->key_len);
    record->bytes = bytes;
}

/* With `between` between them; NUL-terminated. */
static struct push_str put_position(char *to, const struct kafka_record *kafka, size_t topic_len, char between)
{
    char *at = memcpy(to, kafka->topic, topic_len);
    at += topic_len;
    *at++ = between;
    at = decimal_put_int(at, kafka->partition);
    *at++ = between;
    at = decimal_put_int(at, kafka->offset);
    *at = '\0';
    return (struct push_str){.at = to, .len = (uint32_t)(at - to)};
}

/* "topic/partition/offset", and "topic-partition-offset" when the producer gave no id. */
static void name(struct record *record, size_t topic_len)
{
    record->source = put_position(record->names, &record->kafka, topic_len, '/');
    record->id = record->push.id;
    if (record->id.len == 0)
        record->id = put_position(record->names + record->source.len + 1, &record->kafka, topic_len, '-');
}

struct record *record_new(const struct kafka_record *kafka, const struct push_limits *limits,
                          const struct record_events *events, enum push_error *error_r)
{
    struct known_headers headers;
    find_headers(kafka, &headers);
    size_t topic_len = strlen(kafka->topic);
    size_t names_size = 2 * (topic_len + sizeof "/-2147483648/-9223372036854775808");
    size_t id_size = headers.id.value ? PUSH_ID_MAX + 1 : 0;
    /* one piece of memory for all: a second one is 400 instructions, a twentieth of what a record costs */
    size_t size = sizeof(struct record) + names_size + id_size + kafka->len + kafka->key_len;
    struct record *record = recycle_get(size);
    memset(record, 0, sizeof *record);
    record->size = size;
    record->magic = RECORD_MAGIC;
    record->events = events;
    record->refs = 1;
    record->kafka = *kafka;
    list_init(&record->link);
    list_init(&record->targets);
    *error_r = push_parse(&record->push, kafka->value, kafka->len, headers.type.value, headers.type.len, limits);
    take_id(record, &headers.id, record->names + names_size);
    name(record, topic_len);
    if (*error_r == PUSH_ERROR_NONE)
        keep_bytes(record, record->names + names_size + id_size);
    record->cost = (uint32_t)(sizeof *record + names_size + kafka->len + kafka->key_len);
    return record;
}

void record_detach(struct record *record)
{
    if (record->bytes)
        kafka_record_free(&record->kafka);
}

void record_forget(struct record *record)
{
    kafka_record_free(&record->kafka);
    record->kafka.key = record->kafka.value = NULL;
    record->kafka.key_len = record->kafka.len = 0;
}

static void release(struct record *record)
{
    kafka_record_free(&record->kafka);
    push_release(&record->push);
    record->magic = 0;
    recycle_put(record, record->size);
}

void record_ref(struct record *record, uint32_t count)
{
    MAGIC_CHECK(record, RECORD_MAGIC);
    record->refs += count;
}

void record_done(struct record *record)
{
    MAGIC_CHECK(record, RECORD_MAGIC);
    CHECK(record->refs > 0);
    if (--record->refs > 0)
        return;
    if (!record->is_orphan)
        record->events->finished(record);
    release(record);
}

void record_dead(struct record *record, enum push_error error)
{
    MAGIC_CHECK(record, RECORD_MAGIC);
    if (record->is_orphan || record->is_letter)
        return;
    record->is_letter = true;
    record->refs++;
    record->events->dead(record, error);
}
