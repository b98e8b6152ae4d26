/*
 * A dead letter as it lies in herald.dlq: a record that the router could not use, with the headers herald-error
 * ("label: text") and herald-source ("topic/partition/offset" of the record). Pure.
 */
#ifndef HERALD_REGISTRY_LETTER_H
#define HERALD_REGISTRY_LETTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/kafka_reader.h"

enum { LETTER_REASON_MAX = 63, LETTER_TEXT_MAX = 511, LETTER_ID_MAX = 383, LETTER_HEADERS_MAX = 64 };

struct letter {
    const struct kafka_found *found;
    char place[48];                     /* "partition/offset" in the dead-letter topic: its name for operators */
    char reason[LETTER_REASON_MAX + 1]; /* the label of the error; "" where there is none */
    char error[LETTER_TEXT_MAX + 1];
    char source[LETTER_ID_MAX + 1];
    char id[LETTER_ID_MAX + 1]; /* under which it is replayed unless its value has one; "": none known */
};

/* What has to be equal; NULL: anything. source may also be the beginning of one, up to a slash. */
struct letter_filter {
    const char *reason, *key, *source, *offset; /* offset: letter.place */
};

/* Borrows found. */
void letter_read(struct letter *letter, const struct kafka_found *found);
bool letter_matches(const struct letter *letter, const struct letter_filter *filter);
/* Kafka calls it too large, and it went without its value: there is nothing to replay. */
bool letter_is_valueless(const struct letter *letter);
/* The headers of a replayed record: its own without those of Herald, and herald-id where an id is known. Returns how
 * many; headers_r has LETTER_HEADERS_MAX + 1. Borrowed from the letter. */
size_t letter_replay_headers(const struct letter *letter, struct kafka_header *headers_r);
/* One row of a list. */
json_t *letter_row(const struct letter *letter);
/* All of it: the row, and headers and value. What is not UTF-8 is given in hexadecimal: "keyHex", "valueHex". */
json_t *letter_document(const struct letter *letter);

#endif
