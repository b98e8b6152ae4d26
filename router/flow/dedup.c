#include "router/flow/dedup.h"

#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "common/redis_script.h"
#include "common/slab.h"
#include "router/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MAGIC = 0x64656475 };

/* Outlives a claim that is cancelled. */
struct dedup_call {
    uint32_t magic;
    struct dedup *dedup;
    struct dedup_claim *claim; /* NULL: cancelled */
};

struct dedup {
    struct redis *redis;
    struct dedup_settings settings;
    dedup_fn *fn;
    void *arg;
    struct slab *calls;
    struct list asked, waiting; /* claims */
    char window[24];
};

static const struct push_str nobody = {"", 0};

struct dedup *dedup_new(struct redis *redis, const struct dedup_settings *settings, dedup_fn *fn, void *arg)
{
    struct dedup *dedup = xcalloc(1, sizeof(*dedup));
    dedup->redis = redis;
    dedup->settings = *settings;
    dedup->fn = fn;
    dedup->arg = arg;
    dedup->calls = slab_new("dedup call", sizeof(struct dedup_call));
    list_init(&dedup->asked);
    list_init(&dedup->waiting);
    snprintf(dedup->window, sizeof(dedup->window), "%" PRId64, settings->window_ms);
    return dedup;
}

void dedup_free(struct dedup **dedup)
{
    if (!*dedup)
        return;
    CHECK(list_is_empty(&(*dedup)->asked) && list_is_empty(&(*dedup)->waiting));
    slab_free(&(*dedup)->calls);
    free(*dedup);
    *dedup = NULL;
}

/* Redis did not answer. */
static void unanswered(struct dedup *dedup, struct dedup_claim *claim, enum err err)
{
    if (err != ERR_CLOSED && dedup->settings.when_away == DEDUP_DELIVER) {
        metric_add(METRIC_DEDUP_UNCLAIMED, 1);
        dedup->fn(dedup->arg, claim, nobody);
        return;
    }
    list_push(&dedup->waiting, &claim->link);
}

static void on_reply(void *arg, enum err err, const struct redis_reply *reply)
{
    struct dedup_call *call = arg;
    MAGIC_CHECK(call, CALL_MAGIC);
    struct dedup *dedup = call->dedup;
    struct dedup_claim *claim = call->claim;
    call->magic = 0;
    slab_put(dedup->calls, call);
    if (!claim)
        return;
    claim->call = NULL;
    list_remove(&claim->link);
    if (err) {
        if (err != ERR_CLOSED)
            log_limited(LOG_WARN, "id could not be claimed", F_ERR(err));
        unanswered(dedup, claim, err);
        return;
    }
    size_t len;
    const char *text = redis_reply_str(reply, &len);
    struct push_str own = claim->record->source;
    bool is_own = len == own.len && memcmp(text, own.at, len) == 0;
    metric_add(METRIC_DEDUP_CLAIMS, 1);
    dedup->fn(dedup->arg, claim, is_own ? nobody : (struct push_str){text, (uint32_t)len});
}

static enum err ask(struct dedup *dedup, struct dedup_claim *claim)
{
    char key[32 + PUSH_USER_MAX + PUSH_ID_MAX];
    const struct record *record = claim->record;
    const char *argv[] = {key, record->source.at, dedup->window};
    int len = snprintf(key, sizeof(key), "herald:dedup:{%s}:%s", claim->user.at, record->push.id.at);
    const size_t lens[] = {(size_t)len, record->source.len, strlen(dedup->window)};
    struct dedup_call *call = slab_get(dedup->calls);
    *call = (struct dedup_call){.magic = CALL_MAGIC, .dedup = dedup, .claim = claim};
    enum err err = redis_script(dedup->redis, REDIS_SCRIPT_DEDUP_CLAIM, on_reply, call, 1, 3, argv, lens);
    if (err) {
        slab_put(dedup->calls, call);
        return err;
    }
    claim->call = call;
    list_remove(&claim->link);
    list_push(&dedup->asked, &claim->link);
    return ERR_OK;
}

bool dedup_start(struct dedup *dedup, struct dedup_claim *claim, const struct record *record, struct push_str user)
{
    list_init(&claim->link);
    claim->call = NULL;
    if (dedup->settings.window_ms == 0 || record->push.id.len == 0)
        return false;
    if (!record->push.is_durable && !dedup->settings.has_volatile)
        return false;
    claim->record = record;
    claim->user = user;
    /* not before those that wait: the first position has to be the one that claims */
    enum err err = list_is_empty(&dedup->waiting) ? ask(dedup, claim) : ERR_FULL;
    if (!err)
        return true;
    if (err == ERR_AWAY && dedup->settings.when_away == DEDUP_DELIVER) {
        metric_add(METRIC_DEDUP_UNCLAIMED, 1);
        return false;
    }
    list_push(&dedup->waiting, &claim->link);
    return true;
}

bool dedup_is_claiming(const struct dedup_claim *claim)
{
    return !list_is_empty(&claim->link);
}

void dedup_cancel(struct dedup_claim *claim)
{
    if (claim->call)
        claim->call->claim = NULL;
    claim->call = NULL;
    list_remove(&claim->link);
}

void dedup_retry(struct dedup *dedup)
{
    struct list *at;
    while ((at = list_first(&dedup->waiting))) {
        struct dedup_claim *claim = container_of(at, struct dedup_claim, link);
        enum err err = ask(dedup, claim);
        if (err && (err != ERR_AWAY || dedup->settings.when_away == DEDUP_WAIT))
            return;
        if (err) { /* it waited for room only */
            list_remove(&claim->link);
            unanswered(dedup, claim, err);
        }
    }
}

void dedup_each_waiting(struct dedup *dedup, void (*fn)(void *arg, struct dedup_claim *claim), void *arg)
{
    struct list seen, *at;
    list_init(&seen);
    while ((at = list_pop(&dedup->waiting))) {
        list_push(&seen, at);
        fn(arg, container_of(at, struct dedup_claim, link));
    }
    list_splice(&dedup->waiting, &seen);
}

uint32_t dedup_waiting(const struct dedup *dedup)
{
    uint32_t count = 0;
    list_each (at, &dedup->waiting)
        count++;
    return count;
}
