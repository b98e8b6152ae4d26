/* Making and freeing the records of source.h: parsing, naming, keeping the bytes. Only for source.c. */
#ifndef HERALD_ROUTER_RECORD_H
#define HERALD_ROUTER_RECORD_H

#include "router/source.h"

enum { RECORD_MAGIC = 0x5245434f };

/* Takes over the record of Kafka. Always makes one; *error_r says what is wrong with it. */
struct record *record_new(const struct kafka_record *kafka, const struct push_limits *limits, enum push_error *error_r);
/* Gives librdkafka's memory back, key and value being copies already: one message would keep a whole fetch response
 * alive. The headers are gone after this. No-op for a record with an error, of which nothing was copied. */
void record_detach(struct record *record);
/* An orphan's key, value and headers: nobody reads them any more, and they must not outlive the consumer. */
void record_forget(struct record *record);
void record_free(struct record **record);

#endif
