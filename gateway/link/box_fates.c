#include "gateway/link/box_fates.h"

#include <string.h>

#include "gateway/metrics.h"

void box_fates_send(struct peers *peers, const char *user, const char *device, const struct letter *letter)
{
    struct peer *peer = peers_named(peers, letter->router);
    Herald__V1__BoxFate fate = HERALD__V1__BOX_FATE__INIT;
    fate.kind = letter->end == LETTER_EXPIRED ? HERALD__V1__BOX_FATE_KIND__BOX_FATE_EXPIRED
                                              : HERALD__V1__BOX_FATE_KIND__BOX_FATE_ACKED;
    fate.id = (char *)letter->id; /* protobuf-c has no const; packing only reads */
    fate.user = (char *)user;
    fate.device = (char *)device;
    fate.seq = letter->seq;
    fate.source = (char *)letter->source;
    fate.timestamp_ms = letter->timestamp_ms;
    fate.outcome = letter->is_outcome_wanted;
    if (!peer)
        peer = peers_pick(peers, user, strlen(user));
    bool is_sent = peer && peer_put_box_fate(peer, &fate);
    metric_add(is_sent ? METRIC_BOX_FATES : METRIC_BOX_FATES_LOST, 1);
}
