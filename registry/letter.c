#include "registry/letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/check.h"

#define OURS "herald-"

static const struct kafka_header *find(const struct kafka_found *found, const char *name)
{
    for (size_t i = found->header_count; i > 0; i--) /* the last one counts */
        if (strcasecmp(found->headers[i - 1].name, name) == 0)
            return &found->headers[i - 1];
    return NULL;
}

static void copy_text(char *to, size_t max, const struct kafka_header *header)
{
    size_t len = header && header->value ? header->len : 0;
    len = len > max ? max : len;
    if (len > 0)
        memcpy(to, header->value, len);
    to[len] = '\0';
}

/* What the router calls a record without an id: "topic/3/17" is "topic-3-17". */
static void name_by_source(struct letter *letter)
{
    snprintf(letter->id, sizeof(letter->id), "%s", letter->source);
    for (char *at = letter->id; *at; at++)
        if (*at == '/')
            *at = '-';
}

void letter_read(struct letter *letter, const struct kafka_found *found)
{
    *letter = (struct letter){.found = found};
    snprintf(letter->place, sizeof(letter->place), "%" PRId32 "/%" PRId64, found->record.partition,
             found->record.offset);
    copy_text(letter->error, LETTER_TEXT_MAX, find(found, OURS "error"));
    copy_text(letter->source, LETTER_ID_MAX, find(found, OURS "source"));
    copy_text(letter->id, LETTER_ID_MAX, find(found, OURS "id"));
    snprintf(letter->reason, sizeof(letter->reason), "%.*s", (int)strcspn(letter->error, ":"), letter->error);
    if (!*letter->id)
        name_by_source(letter);
}

static bool is_key(const struct kafka_record *record, const char *key)
{
    size_t len = strlen(key);
    return record->key_len == len && (len == 0 || memcmp(record->key, key, len) == 0);
}

static bool is_source(const char *source, const char *wanted)
{
    size_t len = strlen(wanted);
    return strncmp(source, wanted, len) == 0 && (source[len] == '\0' || source[len] == '/');
}

bool letter_matches(const struct letter *letter, const struct letter_filter *filter)
{
    return (!filter->reason || strcmp(letter->reason, filter->reason) == 0) &&
           (!filter->key || is_key(&letter->found->record, filter->key)) &&
           (!filter->source || is_source(letter->source, filter->source)) &&
           (!filter->offset || strcmp(letter->place, filter->offset) == 0);
}

bool letter_is_valueless(const struct letter *letter)
{
    return !letter->found->record.value || letter->found->record.len == 0;
}

size_t letter_replay_headers(const struct letter *letter, struct kafka_header *headers)
{
    size_t count = 0;
    for (size_t i = 0; i < letter->found->header_count && count < LETTER_HEADERS_MAX; i++)
        if (strncasecmp(letter->found->headers[i].name, OURS, strlen(OURS)) != 0)
            headers[count++] = letter->found->headers[i];
    if (*letter->id)
        headers[count++] = (struct kafka_header){.name = OURS "id", .value = letter->id, .len = strlen(letter->id)};
    return count;
}

/* --- as JSON --- */

static void set_hex(json_t *object, const char *name, const unsigned char *at, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = xmalloc(len * 2 + 1);
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[at[i] >> 4];
        hex[2 * i + 1] = digits[at[i] & 15];
    }
    json_object_set_new(object, name, json_stringn(hex, len * 2));
    free(hex);
}

/* Under `name` when it is text, else under `hex`; null where there is nothing. */
static void set_bytes(json_t *object, const char *name, const char *hex, const void *at, size_t len)
{
    json_t *text = at ? json_stringn(at, len) : json_null();
    if (text)
        json_object_set_new(object, name, text);
    else
        set_hex(object, hex, at, len);
}

json_t *letter_row(const struct letter *letter)
{
    const struct kafka_record *record = &letter->found->record;
    json_t *row = json_object();
    json_object_set_new(row, "offset", json_string(letter->place));
    json_object_set_new(row, "timestamp", json_integer(record->timestamp_ms));
    set_bytes(row, "reason", "reasonHex", letter->reason, strlen(letter->reason));
    set_bytes(row, "error", "errorHex", letter->error, strlen(letter->error));
    set_bytes(row, "source", "sourceHex", letter->source, strlen(letter->source));
    set_bytes(row, "key", "keyHex", record->key, record->key_len);
    set_bytes(row, "replayId", "replayIdHex", letter->id, strlen(letter->id));
    json_object_set_new(row, "bytes", json_integer((json_int_t)record->len));
    return row;
}

json_t *letter_document(const struct letter *letter)
{
    const struct kafka_record *record = &letter->found->record;
    json_t *document = letter_row(letter), *headers = json_array();
    for (size_t i = 0; i < letter->found->header_count; i++) {
        const struct kafka_header *header = &letter->found->headers[i];
        json_t *row = json_object();
        set_bytes(row, "name", "nameHex", header->name, strlen(header->name));
        set_bytes(row, "value", "valueHex", header->value, header->len);
        json_array_append_new(headers, row);
    }
    json_object_set_new(document, "headers", headers);
    set_bytes(document, "value", "valueHex", record->value, record->len);
    return document;
}
