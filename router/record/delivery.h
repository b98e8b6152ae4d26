/* A record as gateways and mailboxes get it: herald.v1.Delivery. */
#ifndef HERALD_ROUTER_RECORD_DELIVERY_H
#define HERALD_ROUTER_RECORD_DELIVERY_H

#include "link.pb-c.h"
#include "router/record/record.h"

/* Fills in everything but the targets; all of it is borrowed from the record. */
void delivery_fill(const struct record *record, Herald__V1__Delivery *delivery);
/* Unix epoch in ms; 0: never. */
int64_t delivery_expires_at(const struct record *record);
bool delivery_is_expired(const struct record *record, uint64_t wall_ms);

#endif
