#include "registry/auditor.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/log.h"
#include "registry/metrics.h"

enum { AUDITOR_MAGIC = 0x41554452, EVERY_MS = 2000, KEY_MAX = 300 };

struct auditor {
    uint32_t magic;
    struct loop *loop;
    struct redis *redis;
    struct roster *roster;
    struct audit *audit;
    struct loop_timer *timer;
    uint32_t pending; /* answers */
    uint64_t imbalance;
};

/* Whose accounts an answer has. */
struct asked {
    struct auditor *auditor;
    char *router;
};

static void judge(struct auditor *a)
{
    uint64_t imbalance = audit_imbalance(a->audit);
    metric_set(METRIC_AUDIT_IMBALANCE, (int64_t)imbalance);
    metric_set(METRIC_AUDIT_UNHEARD, (int64_t)audit_unheard(a->audit, loop_now_ms(a->loop)));
    if (imbalance != a->imbalance)
        log_at(imbalance > 0 ? LOG_ERROR : LOG_INFO, "accounts of the routers", F_UINT("imbalance", imbalance));
    a->imbalance = imbalance;
}

static void answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct asked *asked = arg;
    struct auditor *a = asked->auditor;
    MAGIC_CHECK(a, AUDITOR_MAGIC);
    size_t len = 0;
    const char *text = err ? NULL : redis_reply_str(reply, &len);
    if (text && len > 0 && audit_put(a->audit, asked->router, text, len, loop_now_ms(a->loop)) != ERR_OK)
        log_limited(LOG_WARN, "accounts cannot be read", F_STR("of", asked->router));
    free(asked->router);
    free(asked);
    if (--a->pending == 0 && err != ERR_CLOSED)
        judge(a);
}

static void ask(struct auditor *a, const char *router)
{
    char key[KEY_MAX];
    struct asked *asked = xcalloc(1, sizeof(*asked));
    *asked = (struct asked){.auditor = a, .router = xstrdup(router)};
    snprintf(key, sizeof(key), "herald:audit:%s", router);
    a->pending++;
    if (redis_words(a->redis, answered, asked, "GET", key, NULL) == ERR_OK)
        return;
    a->pending--;
    free(asked->router);
    free(asked);
}

static void look(void *arg)
{
    struct auditor *a = arg;
    MAGIC_CHECK(a, AUDITOR_MAGIC);
    if (a->pending > 0)
        return;
    audit_begin(a->audit);
    for (size_t i = 0; i < roster_count(a->roster); i++) {
        const struct instance *in = roster_at(a->roster, i);
        if (in->is_live && in->lease->role == HERALD__V1__ROLE__ROLE_ROUTER)
            audit_name(a->audit, in->name);
    }
    audit_end(a->audit);
    for (size_t i = 0; i < roster_count(a->roster) && redis_is_up(a->redis); i++) {
        const struct instance *in = roster_at(a->roster, i);
        if (in->is_live && in->lease->role == HERALD__V1__ROLE__ROLE_ROUTER)
            ask(a, in->name);
    }
    if (a->pending == 0)
        judge(a);
}

struct auditor *auditor_new(struct loop *loop, struct redis *redis, struct roster *roster)
{
    struct auditor *a = xcalloc(1, sizeof(*a));
    *a = (struct auditor){.magic = AUDITOR_MAGIC, .loop = loop, .redis = redis, .roster = roster};
    a->audit = audit_new();
    a->timer = loop_timer_new(loop, look, a);
    loop_timer_start(a->timer, EVERY_MS / 2, EVERY_MS);
    return a;
}

void auditor_free(struct auditor **auditor)
{
    struct auditor *a = *auditor;
    if (!a)
        return;
    CHECK(a->pending == 0);
    loop_timer_free(&a->timer);
    audit_free(&a->audit);
    a->magic = 0;
    free(a);
    *auditor = NULL;
}

const struct audit *auditor_audit(const struct auditor *a)
{
    return a->audit;
}
