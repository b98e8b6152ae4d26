/*
 * What goes to one instance in a loop turn: deliveries and small pieces, packed behind each other as they come. Targets
 * of one record that follow each other share its delivery, which is packed when something else comes.
 */
#ifndef HERALD_ROUTER_LINK_ENVELOPE_H
#define HERALD_ROUTER_LINK_ENVELOPE_H

#include "common/link.h"
#include "router/link/lanes.h"

enum { ENVELOPE_TARGETS_MAX = 64 /* of one delivery piece */ };

/* Embedded in a lane. */
struct envelope {
    struct link_out out;
    const struct record *record; /* whose delivery is being collected; NULL: none */
    uint32_t target_count;
    Herald__V1__Target targets[ENVELOPE_TARGETS_MAX];
};

/* Once; then open and close for each life of the instance. */
void envelope_init(struct envelope *envelope);
/* The names are borrowed. */
void envelope_open(struct envelope *envelope, const char *from, uint64_t from_generation, const char *to,
                   uint64_t to_generation);
/* Drops what is in it. */
void envelope_close(struct envelope *envelope);
/* Would this target go into the delivery that is being collected? */
bool envelope_continues(const struct envelope *envelope, const struct record *record);
/* The record has to stay until its delivery is packed: by envelope_pack(), envelope_take() or another piece. */
void envelope_add(struct envelope *envelope, const struct record *record, const struct lane_target *to,
                  const struct slot *slot);
void envelope_pack(struct envelope *envelope);
/* now_us: of the wall clock; the gateway echoes it. */
void envelope_put_hello(struct envelope *envelope, const char *endpoint, uint64_t now_us);
void envelope_put_poke(struct envelope *envelope, struct push_str user, struct push_str device);
void envelope_put_withdrawal(struct envelope *envelope, struct push_str user, struct push_str id);
void envelope_put_upstream_result(struct envelope *envelope, uint64_t request, uint32_t code);
void envelope_put_box_fate_result(struct envelope *envelope, uint64_t fate, bool is_taken);
/* Bytes packed so far. */
size_t envelope_len(const struct envelope *envelope);
/* For the caller to free; NULL: nothing is in it. */
char *envelope_take(struct envelope *envelope, size_t *len_r);

#endif
