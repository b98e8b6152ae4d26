#include "gateway/link/box_fates.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/list.h"
#include "common/table.h"
#include "gateway/metrics.h"

enum {
    BOX_FATES_MAGIC = 0xB0F7E001,
    SWEEP_MS = 1000,
    PATIENCE_MS = 120000, /* of a router that lives: it tries until Kafka has it, but envelopes can be lost */
    BATCH = 2048          /* told again in one sweep */
};

struct fate {
    struct list link; /* waiting, or told */
    uint64_t due_ms;
    struct peer *peer; /* that was told, a reference; NULL: it waits for one */
    const char *router;
    Herald__V1__BoxFate body; /* its texts are behind it */
    char texts[];
};

struct box_fates {
    uint32_t magic;
    uint32_t max;
    struct loop *loop;
    struct peers *peers;
    uint64_t last_number;
    struct list waiting, told; /* oldest first */
    struct table *by_number;
    struct loop_timer *sweep;
};

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct fate *fate = item;
    return memcmp(&fate->body.number, key, key_len) == 0;
}

static void set_gauge(const struct box_fates *fates)
{
    metric_set(METRIC_BOX_FATES_PENDING, table_count(fates->by_number));
}

static char *keep(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *kept = memcpy(*at, text, size);
    *at += size;
    return kept;
}

static struct fate *fate_new(const char *user, const char *device, const struct letter *letter)
{
    size_t size = strlen(user) + strlen(device) + strlen(letter->id) + strlen(letter->source) + strlen(letter->router) +
                  5;
    struct fate *fate = xcalloc(1, sizeof *fate + size);
    char *at = fate->texts;
    herald__v1__box_fate__init(&fate->body);
    fate->body.kind = letter->end == LETTER_EXPIRED ? HERALD__V1__BOX_FATE_KIND__BOX_FATE_EXPIRED
                                                    : HERALD__V1__BOX_FATE_KIND__BOX_FATE_ACKED;
    fate->body.id = keep(&at, letter->id);
    fate->body.user = keep(&at, user);
    fate->body.device = keep(&at, device);
    fate->body.source = keep(&at, letter->source);
    fate->router = keep(&at, letter->router);
    fate->body.seq = letter->seq;
    fate->body.timestamp_ms = letter->timestamp_ms;
    fate->body.outcome = letter->is_outcome_wanted;
    return fate;
}

static void forget(struct box_fates *fates, struct fate *fate)
{
    list_remove(&fate->link);
    CHECK(table_remove(fates->by_number, &fate->body.number, sizeof fate->body.number) == fate);
    if (fate->peer)
        peer_unref(&fate->peer);
    free(fate);
    set_gauge(fates);
}

/* False: no router takes it now. */
static bool tell(struct box_fates *fates, struct fate *fate)
{
    struct peer *peer = peers_named(fates->peers, fate->router);
    if (!peer)
        peer = peers_pick(fates->peers, fate->body.user, strlen(fate->body.user));
    if (!peer || !peer_put_box_fate(peer, &fate->body))
        return false;
    metric_add(METRIC_BOX_FATES, 1);
    if (!peer_answers_fates(peer)) {
        forget(fates, fate);
        return true;
    }
    fate->peer = peer_ref(peer);
    fate->due_ms = loop_now_ms(fates->loop) + PATIENCE_MS;
    list_remove(&fate->link);
    list_push(&fates->told, &fate->link);
    return true;
}

/* It is told again with the next sweep. */
static void take_back(struct box_fates *fates, struct fate *fate)
{
    metric_add(METRIC_BOX_FATES_AGAIN, 1);
    peer_unref(&fate->peer);
    list_remove(&fate->link);
    list_push(&fates->waiting, &fate->link);
}

void box_fates_tell(struct box_fates *fates, const char *user, const char *device, const struct letter *letter)
{
    if (table_count(fates->by_number) >= fates->max) {
        metric_add(METRIC_BOX_FATES_LOST, 1);
        return;
    }
    struct fate *fate = fate_new(user, device, letter);
    fate->body.number = ++fates->last_number;
    table_add(fates->by_number, &fate->body.number, sizeof fate->body.number, fate);
    list_push(&fates->waiting, &fate->link);
    set_gauge(fates);
    (void)tell(fates, fate);
}

void box_fates_answered(struct box_fates *fates, const Herald__V1__BoxFateResult *result)
{
    struct fate *fate = table_find(fates->by_number, &result->number, sizeof result->number);
    if (!fate)
        return; /* the answer of the first of two that were told */
    if (result->taken)
        forget(fates, fate);
    else if (fate->peer)
        take_back(fates, fate);
}

static void sweep(void *arg)
{
    struct box_fates *fates = arg;
    MAGIC_CHECK(fates, BOX_FATES_MAGIC);
    uint64_t now_ms = loop_now_ms(fates->loop);
    list_each (it, &fates->told) {
        struct fate *fate = container_of(it, struct fate, link);
        if (peer_is_gone(fate->peer) || fate->due_ms <= now_ms)
            take_back(fates, fate);
    }
    for (int i = 0; i < BATCH; i++) {
        struct list *first = list_first(&fates->waiting);
        if (!first || !tell(fates, container_of(first, struct fate, link)))
            return;
    }
}

struct box_fates *box_fates_new(struct loop *loop, struct peers *peers, uint32_t max)
{
    struct box_fates *fates = xcalloc(1, sizeof *fates);
    fates->magic = BOX_FATES_MAGIC;
    fates->max = max;
    fates->loop = loop;
    fates->peers = peers;
    list_init(&fates->waiting);
    list_init(&fates->told);
    fates->by_number = table_new(match);
    fates->sweep = loop_timer_new(loop, sweep, fates);
    loop_timer_start(fates->sweep, SWEEP_MS, SWEEP_MS);
    return fates;
}

void box_fates_free(struct box_fates **fates_p)
{
    struct box_fates *fates = *fates_p;
    struct list *link;
    if (!fates)
        return;
    *fates_p = NULL;
    list_splice(&fates->told, &fates->waiting);
    while ((link = list_first(&fates->told))) {
        metric_add(METRIC_BOX_FATES_LOST, 1);
        forget(fates, container_of(link, struct fate, link));
    }
    table_free(&fates->by_number);
    loop_timer_free(&fates->sweep);
    fates->magic = 0;
    free(fates);
}
