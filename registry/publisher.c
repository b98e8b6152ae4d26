#include "registry/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "common/redis_script.h"
#include "registry/metrics.h"

enum { PUBLISHER_MAGIC = 0x5055424c, FORGET_EVERY_MS = 5000, FORGET_BATCH = 100 };

struct publisher {
    uint32_t magic;
    struct loop *loop;
    struct redis *redis;
    struct roster *roster;
    struct leader *leader;
    char *registry_id;
    bool is_publishing;
    uint64_t asked_ms, asked_changes, asked_wall_ms; /* of the write under way */
    uint64_t asked_token;
    uint64_t written_token, written_changes; /* what the last snapshot was made of */
    uint64_t written_ms;                     /* monotonic, when it was asked for; 0: never */
    uint64_t forgot_ms;
    uint64_t version, published_ms;
};

static void published(void *arg, enum err err, const struct redis_reply *reply)
{
    struct publisher *p = arg;
    MAGIC_CHECK(p, PUBLISHER_MAGIC);
    p->is_publishing = false;
    if (err) {
        metric_add_labelled(METRIC_PUBLISHED, PUBLISH_AWAY, 1);
        return;
    }
    uint64_t version = (uint64_t)redis_reply_int(reply);
    if (version == 0) {
        metric_add_labelled(METRIC_PUBLISHED, PUBLISH_REFUSED, 1);
        log_warn("snapshot refused: the leader's lock is gone", F_UINT("token", p->asked_token));
        if (p->asked_token == leader_token(p->leader))
            leader_refused(p->leader);
        return;
    }
    metric_add_labelled(METRIC_PUBLISHED, PUBLISH_OK, 1);
    metric_set(METRIC_MEMBERS_VERSION, (int64_t)version);
    if (p->written_changes != p->asked_changes || p->written_token != p->asked_token)
        log_info("membership published", F_UINT("version", version), F_UINT("changes", p->asked_changes));
    p->version = version;
    p->published_ms = p->asked_wall_ms;
    p->written_token = p->asked_token;
    p->written_changes = p->asked_changes;
    p->written_ms = p->asked_ms;
}

/* The snapshot without its version, which the script puts in front. */
static uint8_t *pack_members(struct publisher *p, size_t *len_r)
{
    Herald__V1__Members members = HERALD__V1__MEMBERS__INIT;
    size_t count = roster_count(p->roster);
    Herald__V1__Lease **leases = xcalloc(count ? count : 1, sizeof(*leases));
    for (size_t i = 0; i < count; i++) {
        const struct instance *in = roster_at(p->roster, i);
        if (in->is_live)
            leases[members.n_leases++] = in->lease;
    }
    members.token = p->asked_token;
    members.leader = p->registry_id;
    members.published_ms = p->asked_wall_ms;
    members.leases = leases;
    *len_r = herald__v1__members__get_packed_size(&members);
    uint8_t *packed = xmalloc(*len_r ? *len_r : 1);
    herald__v1__members__pack(&members, packed);
    free(leases);
    return packed;
}

static void publish(struct publisher *p, uint64_t now_ms)
{
    p->asked_ms = now_ms;
    p->asked_wall_ms = loop_wall_ms(p->loop);
    p->asked_changes = roster_changes(p->roster);
    p->asked_token = leader_token(p->leader);
    size_t len;
    uint8_t *packed = pack_members(p, &len);
    char token[24];
    snprintf(token, sizeof(token), "%llu", (unsigned long long)p->asked_token);
    const char *id = leader_id(p->leader);
    const char *argv[] = {"herald:members", "herald:leader", "herald:members:version", id, token, (const char *)packed};
    const size_t lens[] = {strlen(argv[0]), strlen(argv[1]), strlen(argv[2]), strlen(id), strlen(token), len};
    enum err err = redis_script(p->redis, REDIS_SCRIPT_MEMBERS_PUBLISH, published, p, 3, 6, argv, lens);
    free(packed);
    p->is_publishing = err == ERR_OK;
    if (err)
        metric_add_labelled(METRIC_PUBLISHED, PUBLISH_AWAY, 1);
}

/* An instance that starts again at this moment puts its name back with its next renewal. */
static void forget(struct publisher *p, uint64_t now_ms)
{
    if (p->forgot_ms && now_ms < p->forgot_ms + FORGET_EVERY_MS)
        return;
    p->forgot_ms = now_ms;
    int forgotten = 0;
    for (size_t i = 0; i < roster_count(p->roster) && forgotten < FORGET_BATCH; i++) {
        const struct instance *in = roster_at(p->roster, i);
        if (!in->is_listed || !roster_is_forgettable(p->roster, in, now_ms))
            continue;
        if (redis_words(p->redis, NULL, NULL, "SREM", "herald:instances", in->name, NULL) != ERR_OK)
            return;
        forgotten++;
        log_info("instance forgotten", F_STR("name", in->name));
    }
}

void publisher_look(struct publisher *p)
{
    uint64_t now_ms = loop_now_ms(p->loop);
    if (!leader_is_held(p->leader) || !redis_is_up(p->redis))
        return;
    forget(p, now_ms);
    bool is_changed = p->written_changes != roster_changes(p->roster) || p->written_token != leader_token(p->leader);
    if (!p->is_publishing && (is_changed || p->written_ms == 0 || now_ms >= p->written_ms + PUBLISHER_EVERY_MS))
        publish(p, now_ms);
}

struct publisher *publisher_new(struct loop *loop, struct redis *redis, struct roster *roster, struct leader *leader,
                                const char *registry_id)
{
    struct publisher *p = xcalloc(1, sizeof(*p));
    p->magic = PUBLISHER_MAGIC;
    p->loop = loop;
    p->redis = redis;
    p->roster = roster;
    p->leader = leader;
    p->registry_id = xstrdup(registry_id);
    return p;
}

void publisher_free(struct publisher **publisher)
{
    struct publisher *p = *publisher;
    if (!p)
        return;
    free(p->registry_id);
    p->magic = 0;
    free(p);
    *publisher = NULL;
}

uint64_t publisher_version(const struct publisher *p)
{
    return p->version;
}

uint64_t publisher_published_ms(const struct publisher *p)
{
    return p->published_ms;
}
