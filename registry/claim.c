#include "registry/claim.h"

#include <stdio.h>

void claim_init(struct claim *c, uint64_t ttl_ms)
{
    *c = (struct claim){.ttl_ms = ttl_ms};
}

bool claim_is_due(const struct claim *c, uint64_t now_ms)
{
    uint64_t pause_ms = claim_is_held(c, now_ms) ? CLAIM_RENEW_MS : CLAIM_TRY_MS;
    return c->asked_ms == 0 || now_ms >= c->asked_ms + pause_ms;
}

void claim_asked(struct claim *c, uint64_t now_ms)
{
    c->asked_ms = now_ms;
}

void claim_answered(struct claim *c, uint64_t asked_ms, bool is_granted, uint64_t token, const char *holder)
{
    snprintf(c->holder, sizeof(c->holder), "%s", holder);
    if (!is_granted) {
        c->until_ms = 0;
        return;
    }
    c->token = token;
    c->until_ms = asked_ms + c->ttl_ms;
}

void claim_drop(struct claim *c)
{
    c->until_ms = 0;
    c->holder[0] = '\0';
}

bool claim_is_held(const struct claim *c, uint64_t now_ms)
{
    return now_ms < c->until_ms;
}
