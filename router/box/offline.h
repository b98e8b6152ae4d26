/*
 * A record of herald.offline: everything that a bridge to a push provider (APNs, FCM ...) needs to know of a message
 * that still waits in a mailbox. JSON. Pure.
 */
#ifndef HERALD_ROUTER_BOX_OFFLINE_H
#define HERALD_ROUTER_BOX_OFFLINE_H

#include <stdint.h>

#include "common/buf.h"
#include "common/redis.h"
#include "link.pb-c.h"

/* Appends the devices of HGETALL herald:devices:{user}: [{"device","lastSeenMs"}]. */
void offline_add_devices(const struct redis_reply *devices, struct buf *out);
/* Appends the record. device: of a mailbox that is a device's, else "". devices: made by offline_add_devices(). */
void offline_add_record(const Herald__V1__Delivery *delivery, const char *user, const char *device, const char *devices,
                        uint64_t stored_ms, uint64_t now_ms, struct buf *out);

#endif
