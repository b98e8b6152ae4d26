/*
 * What became of mailbox entries, told to a router, which counts and publishes it: the one that stored the entry when
 * it lives (what it tells of it then comes behind its own `stored`), else any. Kept until the router says that Kafka
 * has it; told again, to another one, when the router is gone without saying so. So it is lost only with this process,
 * or when too many wait; and it may be told twice.
 */
#ifndef HERALD_GATEWAY_LINK_BOX_FATES_H
#define HERALD_GATEWAY_LINK_BOX_FATES_H

#include "common/loop.h"
#include "gateway/link/peers.h"
#include "gateway/session/letter.h"

struct box_fates;

/* At most max are kept; more are counted as lost. */
struct box_fates *box_fates_new(struct loop *loop, struct peers *peers, uint32_t max);
/* Before the peers are. What was not answered for is counted as lost. */
void box_fates_free(struct box_fates **box_fates);
void box_fates_tell(struct box_fates *box_fates, const char *user, const char *device, const struct letter *letter);
void box_fates_answered(struct box_fates *box_fates, const Herald__V1__BoxFateResult *result);

#endif
