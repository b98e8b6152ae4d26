/* GET /api/v1/users/<id>: all about one user. GET /api/v1/users?ids=a,b: the presence of many. */
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "registry/api_reply.h"
#include "registry/lookup.h"

enum { QUESTION_MAGIC = 0x51554553 };

/* A request that waits for Redis. */
struct question {
    uint32_t magic;
    struct api *api;
    struct admin_request *request;
};

static struct admin_request *question_close(struct question **question)
{
    struct question *q = *question;
    MAGIC_CHECK(q, QUESTION_MAGIC);
    struct admin_request *request = q->request;
    q->api->lookups--;
    q->magic = 0;
    free(q);
    *question = NULL;
    return request;
}

static json_t *route_object(const struct device *d)
{
    json_t *row = json_object();
    json_t *name = json_string(d->name);
    json_object_set_new(row, "device", name ? name : json_string(""));
    json_object_set_new(row, "online", json_boolean(d->is_online));
    if (!d->has_route)
        return row;
    json_t *instance = json_string(d->route.instance);
    json_object_set_new(row, "instance", instance ? instance : json_string(""));
    json_object_set_new(row, "generation", json_integer((json_int_t)d->route.generation));
    json_object_set_new(row, "connection", json_integer((json_int_t)d->route.connection));
    json_object_set_new(row, "sinceMs", json_integer((json_int_t)d->route.since_ms));
    return row;
}

static json_t *device_object(const struct device *d)
{
    json_t *row = route_object(d);
    if (d->last_seen_ms)
        json_object_set_new(row, "lastSeenMs", json_integer((json_int_t)d->last_seen_ms));
    json_object_set_new(row, "mailbox", json_integer((json_int_t)d->mailbox));
    return row;
}

static json_t *person_object(const struct person *p, json_t *(*object)(const struct device *), bool is_online_only)
{
    json_t *devices = json_array();
    for (size_t i = 0; i < p->count; i++) {
        if (p->devices[i].is_online || !is_online_only)
            json_array_append_new(devices, object(&p->devices[i]));
    }
    return json_pack("{s:s, s:b, s:o}", "user", p->user, "online", p->is_online, "devices", devices);
}

static void refuse_away(struct admin_request *request)
{
    api_refuse(request, 503, REFUSAL_AWAY, "Redis cannot be reached now");
}

static void user_found(void *arg, enum err err, const struct person *people, size_t count)
{
    struct question *q = arg;
    struct admin_request *request = question_close(&q);
    (void)count;
    if (err) {
        refuse_away(request);
        return;
    }
    if (people->count == 0 && people->mailbox == 0) {
        admin_reply_error(request, 404, "no such user: no session, no known device, no mailbox");
        return;
    }
    json_t *document = person_object(people, device_object, false);
    json_object_set_new(document, "mailbox", json_integer((json_int_t)people->mailbox));
    api_reply_json(request, 200, document);
}

static void users_found(void *arg, enum err err, const struct person *people, size_t count)
{
    struct question *q = arg;
    struct admin_request *request = question_close(&q);
    if (err) {
        refuse_away(request);
        return;
    }
    json_t *rows = json_array();
    size_t online = 0;
    for (size_t i = 0; i < count; i++) {
        online += people[i].is_online;
        json_array_append_new(rows, person_object(&people[i], route_object, true));
    }
    api_reply_json(request, 200, json_pack("{s:o, s:I}", "users", rows, "online", (json_int_t)online));
}

static void ask(struct api *api, struct admin_request *request, const char *const *ids, size_t count, bool is_full,
                lookup_fn *fn)
{
    if (api->lookups >= (uint32_t)api->settings->lookups_max) {
        api_refuse(request, 503, REFUSAL_BUSY, "too many requests wait for Redis");
        return;
    }
    struct question *q = xcalloc(1, sizeof(*q));
    *q = (struct question){.magic = QUESTION_MAGIC, .api = api, .request = request};
    api->lookups++;
    if (lookup_start(api->redis, api->roster, ids, count, is_full, fn, q) != ERR_OK)
        refuse_away(question_close(&q));
}

void api_user_get(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_USER);
    const char *id = admin_path_rest(request);
    if (!presence_is_id(id)) {
        api_refuse(request, 400, REFUSAL_BAD, "not a user id");
        return;
    }
    ask(api, request, &id, 1, true, user_found);
}

void api_users_get(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_USERS);
    const char *text = admin_query(request, "ids");
    size_t max = (size_t)api->settings->lookup_users_max, count = 0;
    if (!text) {
        api_refuse(request, 400, REFUSAL_BAD, "say whose presence: ?ids=a,b,c");
        return;
    }
    char *copy = xstrdup(text);
    const char **ids = xcalloc(max, sizeof(char *));
    enum err err = presence_split_ids(copy, ids, max, &count);
    if (err == ERR_TOO_LARGE)
        api_refuse(request, 413, REFUSAL_TOO_LARGE, "more ids than api.users_max");
    else if (err)
        api_refuse(request, 400, REFUSAL_BAD, "not a list of user ids");
    else
        ask(api, request, ids, count, false, users_found);
    free(ids);
    free(copy);
}
