/*
 * An instance's lease in Redis: `herald:lease:<instance>` (herald.v1.Lease, PX 3000), renewed every second, and the
 * instance's name in the set `herald:instances`, so that the registry need not scan. A lease of a lower generation than
 * one that still lives is refused by the script: the caller then takes a higher generation.
 */
#ifndef HERALD_COMMON_LEASE_H
#define HERALD_COMMON_LEASE_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "lease.pb-c.h"
#include "loop.h"
#include "redis.h"

struct lease;

enum { LEASE_TTL_MS = 3000, LEASE_RENEW_MS = 1000 };

/* Called before each renewal to fill in counters (numbers only: strings belong to the lease). beat and load are the
 * lease's own. */
typedef void lease_fill_fn(void *arg, Herald__V1__Lease *lease);
/* A live lease of this name has a higher generation: this process must not go on under it. Called once; renewing has
 * ended. lease_free() may be called inside. */
typedef void lease_lost_fn(void *arg);
/* Redis did not have the lease any more although it was renewed before: Redis was emptied (or this process stood still
 * for longer than the lease lives), so whatever else this process wrote there may be gone too. The lease is there
 * again.
 */
typedef void lease_vanished_fn(void *arg);

/* body is copied: instance, generation, role, endpoint, url, admin, version. Starts renewing as soon as redis is up. */
struct lease *lease_new(struct loop *loop, struct redis *redis, const Herald__V1__Lease *body, lease_fill_fn *fill,
                        lease_lost_fn *lost, void *arg);
/* Without it nobody is told. arg is that of lease_new(). */
void lease_on_vanished(struct lease *lease, lease_vanished_fn *vanished);
/* Renew now (a counter that others should see soon has changed; after a reconnection). */
void lease_renew(struct lease *lease);
/* Wall-clock ms of the last renewal that Redis confirmed; 0: never. */
uint64_t lease_renewed_ms(const struct lease *lease);
/* Releases (compare-and-delete, not waited for) and frees. Before redis_free(). */
void lease_free(struct lease **lease);

/* The value of the key is `<generation>\n<packed herald.v1.Lease>`: scripts compare the number in front. Appends it. */
void lease_pack(const Herald__V1__Lease *body, struct buf *out);
/* The reverse; allocator NULL: memory_protobuf(), to be freed with herald__v1__lease__free_unpacked(). The generation
 * is that in front. ERR_INVALID: not a lease. */
enum err lease_parse(ProtobufCAllocator *allocator, const char *value, size_t len,
                     Herald__V1__Lease **lease_r) MUST_CHECK;
/* Reads the `<decimal>\n` in front of such a value (herald:members has one too); *head_r is its length. */
enum err lease_number(const char *value, size_t len, uint64_t *number_r, size_t *head_r) MUST_CHECK;

#endif
