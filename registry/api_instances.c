/* GET /api/v1/instances: every instance known, live and dead. */
#include <string.h>

#include "registry/api_reply.h"

static const char *role_name(Herald__V1__Role role)
{
    static const char *const names[] = {"unknown", "gateway", "router", "registry"};
    return (size_t)role < sizeof(names) / sizeof(names[0]) ? names[role] : names[0];
}

static const char *state_name(const struct instance *in)
{
    if (in->is_live)
        return in->lease->draining ? "draining" : "live";
    return in->has_left ? "left" : "dead";
}

/* A lease may hold anything: text that is not UTF-8 becomes "". */
static json_t *text(const char *s)
{
    json_t *string = json_string(s);
    return string ? string : json_string("");
}

static void add_lease(json_t *row, const struct instance *in)
{
    const Herald__V1__Lease *lease = in->lease;
    json_object_set_new(row, "role", json_string(role_name(lease->role)));
    json_object_set_new(row, "generation", json_integer((json_int_t)lease->generation));
    json_object_set_new(row, "endpoint", text(lease->endpoint));
    json_object_set_new(row, "url", text(lease->url));
    json_object_set_new(row, "admin", text(lease->admin));
    json_object_set_new(row, "version", text(lease->version));
    json_object_set_new(row, "startedMs", json_integer((json_int_t)lease->started_ms));
    json_object_set_new(row, "connections", json_integer(lease->connections));
    json_object_set_new(row, "users", json_integer(lease->users));
    json_object_set_new(row, "sessions", json_integer(lease->sessions));
    json_object_set_new(row, "messagesIn", json_integer((json_int_t)lease->messages_in));
    json_object_set_new(row, "messagesOut", json_integer((json_int_t)lease->messages_out));
    json_object_set_new(row, "inPerSecond", json_real(in->in_per_s));
    json_object_set_new(row, "outPerSecond", json_real(in->out_per_s));
    json_object_set_new(row, "load", json_real(lease->load_permille / 1000.0));
}

static json_t *instance_row(const struct api *api, const struct instance *in)
{
    uint64_t now_ms = loop_now_ms(api->loop), since_ms = in->is_live ? in->heartbeat_ms : in->died_ms;
    json_t *row = json_object();
    json_object_set_new(row, "instance", text(in->name));
    json_object_set_new(row, "state", json_string(state_name(in)));
    json_object_set_new(row, in->is_live ? "heartbeatAgeMs" : "deadForMs",
                        json_integer(now_ms > since_ms ? (json_int_t)(now_ms - since_ms) : 0));
    if (in->lease)
        add_lease(row, in);
    return row;
}

void api_instances_get(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_INSTANCES);
    const char *state = admin_query(request, "state");
    json_t *rows = json_array();
    for (size_t i = 0; i < roster_count(api->roster); i++) {
        const struct instance *in = roster_at(api->roster, i);
        if (!state || strcmp(state, state_name(in)) == 0)
            json_array_append_new(rows, instance_row(api, in));
    }
    api_reply_json(request, 200,
                   json_pack("{s:o, s:I}", "instances", rows, "timestamp", (json_int_t)loop_wall_ms(api->loop)));
}
