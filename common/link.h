/*
 * Envelopes between routers and gateways (proto/link.proto): packing in pieces, unpacking into an arena.
 *
 * A link_out collects what goes to one peer during a loop turn; each piece is packed at once behind the others, which
 * protobuf's concatenation rule makes one valid Envelope. link_take() hands the bytes to bus_push_send().
 */
#ifndef HERALD_COMMON_LINK_H
#define HERALD_COMMON_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "link.pb-c.h"

enum { LINK_VERSION = 1 };

struct link_out {
    struct buf packed;     /* empty, or begins with the head of the envelope */
    uint32_t pieces;       /* deliveries, results ... put in so far */
    const char *from, *to; /* borrowed from the owner, who keeps them alive */
    uint64_t from_generation, to_generation;
};

void link_out_init(struct link_out *out, const char *from, uint64_t from_generation, const char *to,
                   uint64_t to_generation);
void link_out_release(struct link_out *out);
void link_put_hello(struct link_out *out, const Herald__V1__Hello *hello);
void link_put_delivery(struct link_out *out, const Herald__V1__Delivery *delivery);
void link_put_result(struct link_out *out, const Herald__V1__Result *result);
void link_put_poke(struct link_out *out, const Herald__V1__Poke *poke);
void link_put_withdrawal(struct link_out *out, const Herald__V1__Withdrawal *withdrawal);
void link_put_upstream(struct link_out *out, const Herald__V1__Upstream *upstream);
void link_put_upstream_result(struct link_out *out, const Herald__V1__UpstreamResult *result);
void link_put_canary(struct link_out *out, const Herald__V1__CanaryRequest *request);
void link_put_box_fate(struct link_out *out, const Herald__V1__BoxFate *fate);
void link_put_box_fate_result(struct link_out *out, const Herald__V1__BoxFateResult *result);
/* The envelope, malloc()ed, owned by the caller; NULL when nothing was put in. The link_out is empty afterwards. */
char *link_take(struct link_out *out, size_t *len_r);

/* Reused memory for unpacking: a bump allocator, cleared by each link_unpack(); so what came from one envelope must not
 * be used any more when the next is unpacked. At most max_bytes. */
struct link_arena;
struct link_arena *link_arena_new(size_t max_bytes);
void link_arena_free(struct link_arena **arena);
/* For protobuf-c calls of one's own (mailbox entries, leases). */
ProtobufCAllocator *link_arena_allocator(struct link_arena *arena);
void link_arena_clear(struct link_arena *arena);

/* What an envelope unpacks to lives in the arena until the next clear; its `bytes` fields point into `bytes`.
 * ERR_INVALID: not an envelope; ERR_UNSUPPORTED: another version; ERR_REFUSED: meant for another receiver or life;
 * ERR_TOO_LARGE: beyond the arena.
 */
enum err link_unpack(struct link_arena *arena, const void *bytes, size_t len, const char *self, uint64_t generation,
                     const Herald__V1__Envelope **envelope_r) MUST_CHECK;

#endif
