/*
 * A target of a delivery until its fate is known. Several sessions may take it up; from what each of them reports comes
 * exactly one Result:
 *
 *     durable    ACKED with the first acknowledgement; a failure only when all of them failed
 *     volatile   WRITTEN with the first that was written; a failure only when none was
 *     broadcast  WRITTEN when all have reported, with the count of those written
 *
 * Of several failures REFUSED is told rather than CLOSED: it says that the user is still here. Pure.
 */
#ifndef HERALD_GATEWAY_LINK_PENDING_H
#define HERALD_GATEWAY_LINK_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "link.pb-c.h"

struct pending;

/* The one Result; texts are borrowed for the call. `owner` is what pending_new() was given. */
typedef void pending_fn(void *arg, void *owner, const Herald__V1__Result *result);

struct pendings; /* all of a worker, with what they share */
struct pendings *pendings_new(pending_fn *fn, void *arg);
/* Those that are left are forgotten, without a result. */
void pendings_free(struct pendings **pendings);
uint32_t pendings_count(const struct pendings *pendings);

/* now_ms: of a clock that may wrap around. */
struct pending *pending_new(struct pendings *pendings, void *owner, uint32_t slot, uint32_t slot_generation,
                            bool is_broadcast, uint32_t now_ms);
/* One session's report; at most as many as are sealed. `reason` must be a constant text. The time until now that was
 * not the client's (report->client_ms) was the gateway's. */
void pending_report(struct pending *p, const Herald__V1__Result *report, uint32_t now_ms);
/* So many sessions report, those before this call included. 0: nobody is here. The pending is freed when all have, and
 * may be so by the end of this call. */
void pending_seal(struct pending *p, uint32_t session_count);

#endif
