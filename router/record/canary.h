/*
 * What gateways ask to be sent to themselves (gateway/canary/canary.h): a record of herald.push like any other, but for
 * users whose ids begin with "~canary-". They have a row of their own in the accounts and metrics of their own.
 */
#ifndef HERALD_ROUTER_RECORD_CANARY_H
#define HERALD_ROUTER_RECORD_CANARY_H

#include <stdbool.h>

#include "common/kafka.h"
#include "link.pb-c.h"
#include "router/record/record.h"

bool canary_is(const struct record *record);
/* Produces the record; what makes no sense is counted, and what Kafka does not take is not tried again. */
void canary_produce(struct kafka_producer *producer, const char *topic, const Herald__V1__CanaryRequest *request);

#endif
