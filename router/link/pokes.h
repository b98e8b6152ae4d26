/*
 * Pokes that wait for an instance which is not there (yet) in the life they are meant for, or has no room: some, for a
 * while. One that is dropped is made good by the refresh of the route.
 */
#ifndef HERALD_ROUTER_LINK_POKES_H
#define HERALD_ROUTER_LINK_POKES_H

#include "router/link/envelope.h"

struct waiting_poke;

/* Embedded in a lane; zeroed at first. */
struct pokes {
    struct waiting_poke *rows;
    uint32_t count;
};

void pokes_release(struct pokes *pokes);
/* The texts are copied. Dropped and counted when too many wait. */
void pokes_add(struct pokes *pokes, uint64_t generation, struct push_str user, struct push_str device, uint64_t now_ms);
/* Those for that life go into the envelope. How many did. */
uint32_t pokes_send(struct pokes *pokes, uint64_t generation, struct envelope *envelope);
void pokes_drop_old(struct pokes *pokes, uint64_t now_ms);

#endif
