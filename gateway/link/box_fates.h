/*
 * What became of mailbox entries, told to a router, which counts and publishes it: the one that stored the entry when
 * it lives (what it tells of it then comes behind its own `stored`), else any. Best effort: without a router, or with
 * its lane full, it is counted as lost.
 */
#ifndef HERALD_GATEWAY_LINK_BOX_FATES_H
#define HERALD_GATEWAY_LINK_BOX_FATES_H

#include "gateway/link/peers.h"
#include "gateway/session/letter.h"

void box_fates_send(struct peers *peers, const char *user, const char *device, const struct letter *letter);

#endif
