/* GET /api/v1/stats: the cluster in numbers. GET /api/v1/topics. */
#include "registry/api_reply.h"

struct totals {
    uint64_t users, sessions, connections, messages_in, messages_out;
    double in_per_s, out_per_s;
    int live[4], draining, dead; /* live by role */
    json_t *versions;            /* program version -> how many */
};

static void count_version(json_t *versions, const char *version)
{
    json_t *count = json_object_get(versions, version);
    /* bounded: versions come from leases, which are bounded; text that is not UTF-8 is refused by the setter */
    (void)json_object_set_new(versions, version, json_integer(json_integer_value(count) + 1));
}

static void add(struct totals *t, const struct instance *in)
{
    if (!in->is_live) {
        t->dead++;
        return;
    }
    const Herald__V1__Lease *lease = in->lease;
    t->live[(unsigned)lease->role < 4 ? lease->role : 0]++;
    t->draining += lease->draining;
    count_version(t->versions, lease->version);
    if (lease->role != HERALD__V1__ROLE__ROLE_GATEWAY)
        return;
    t->users += lease->users;
    t->sessions += lease->sessions;
    t->connections += lease->connections;
    t->messages_in += lease->messages_in;
    t->messages_out += lease->messages_out;
    t->in_per_s += in->in_per_s;
    t->out_per_s += in->out_per_s;
}

/* Consumed and delivered by the routers. */
static void add_router_rates(const struct api *api, double *in_per_s, double *out_per_s)
{
    for (size_t i = 0; i < roster_count(api->roster); i++) {
        const struct instance *in = roster_at(api->roster, i);
        if (in->is_live && in->lease->role == HERALD__V1__ROLE__ROLE_ROUTER) {
            *in_per_s += in->in_per_s;
            *out_per_s += in->out_per_s;
        }
    }
}

static json_t *instance_numbers(const struct api *api)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < roster_count(api->roster); i++) {
        const struct instance *in = roster_at(api->roster, i);
        if (!in->is_live || in->lease->role != HERALD__V1__ROLE__ROLE_GATEWAY)
            continue;
        json_t *row = json_pack("{s:s, s:I, s:I, s:I, s:f, s:f}", "instance", in->name, "users",
                                (json_int_t)in->lease->users, "sessions", (json_int_t)in->lease->sessions,
                                "connections", (json_int_t)in->lease->connections, "inPerSecond", in->in_per_s,
                                "outPerSecond", in->out_per_s);
        if (row)
            json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *leader_object(const struct api *api)
{
    bool is_self = leader_is_held(api->leader);
    json_t *leader = json_pack("{s:s, s:b}", "id", leader_holder(api->leader), "isThis", is_self);
    if (leader && is_self)
        json_object_set_new(leader, "token", json_integer((json_int_t)leader_token(api->leader)));
    return leader ? leader : json_null();
}

static json_t *live_object(const struct totals *t)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i}", "gateways", t->live[HERALD__V1__ROLE__ROLE_GATEWAY], "routers",
                     t->live[HERALD__V1__ROLE__ROLE_ROUTER], "registries", t->live[HERALD__V1__ROLE__ROLE_REGISTRY],
                     "draining", t->draining, "dead", t->dead);
}

void api_stats_get(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_STATS);
    struct totals t = {.versions = json_object()};
    for (size_t i = 0; i < roster_count(api->roster); i++)
        add(&t, roster_at(api->roster, i));
    double consumed = 0, delivered = 0;
    add_router_rates(api, &consumed, &delivered);

    json_t *cluster = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "users", (json_int_t)t.users,
                                "sessions", (json_int_t)t.sessions, "connections", (json_int_t)t.connections,
                                "messagesIn", (json_int_t)t.messages_in, "messagesOut", (json_int_t)t.messages_out,
                                "inPerSecond", t.in_per_s, "outPerSecond", t.out_per_s, "consumedPerSecond", consumed,
                                "deliveriesPerSecond", delivered);
    json_t *document = json_object();
    json_object_set_new(document, "cluster", cluster);
    json_object_set_new(document, "live", live_object(&t));
    json_object_set_new(document, "instances", instance_numbers(api));
    json_object_set_new(document, "leader", leader_object(api));
    json_object_set_new(document, "registry", json_string(api->registry_id));
    json_object_set_new(document, "membersVersion", json_integer((json_int_t)watcher_members_version(api->watcher)));
    json_object_set_new(document, "redisUp", json_boolean(redis_is_up(api->redis)));
    json_object_set_new(document, "version", json_string(daemon_version));
    json_object_set_new(document, "versions", t.versions);
    json_object_set_new(document, "tryEnabled", json_boolean(api->settings->is_try_enabled));
    json_object_set_new(document, "timestamp", json_integer((json_int_t)loop_wall_ms(api->loop)));
    api_reply_json(request, 200, document);
}

void api_topics_get(struct admin_request *request, void *arg)
{
    (void)api_enter(arg, RESOURCE_TOPICS);
    api_reply_json(request, 200, json_pack("{s:[]}", "topics"));
}
