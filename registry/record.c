#include "registry/record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

void record_init(struct record *r)
{
    *r = (struct record){0};
    buf_init(&r->text);
}

void record_release(struct record *r)
{
    buf_release(&r->text);
    free(r->key);
    free(r->id);
    *r = (struct record){0};
}

static const char *target_user(const json_t *to)
{
    const char *user = json_string_value(json_object_get(to, "user"));
    if (!user)
        user = json_string_value(json_array_get(json_object_get(to, "users"), 0));
    return user ? user : "";
}

static enum err read_object(struct record *r, const json_t *object, const char *text, size_t len, const char *new_id,
                            const char **why_r)
{
    const json_t *to = json_object_get(object, "to"), *id = json_object_get(object, "id");
    *why_r = NULL;
    if (!json_is_object(object))
        *why_r = "a record is a JSON object";
    else if (!json_is_object(to))
        *why_r = "a record needs a target: \"to\":{\"user\":\"...\"}";
    else if (!json_object_get(object, "content"))
        *why_r = "a record needs a \"content\"";
    else if (id && (!json_is_string(id) || json_string_length(id) == 0))
        *why_r = "an \"id\" is a string, or left out";
    if (*why_r)
        return ERR_INVALID;
    r->key = xstrdup(target_user(to));
    r->id = xstrdup(id ? json_string_value(id) : new_id);
    const char *brace = memchr(text, '{', len);
    CHECK(brace); /* it is an object */
    if (!id) {
        buf_add_str(&r->text, "{\"id\":");
        buf_add_json_str(&r->text, new_id, strlen(new_id));
        buf_add_char(&r->text, ',');
        brace++;
    }
    buf_add(&r->text, brace, len - (size_t)(brace - text));
    return ERR_OK;
}

enum err record_read(struct record *r, const char *text, size_t len, const char *new_id, const char **why_r)
{
    json_error_t error;
    json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!object) {
        *why_r = "not a JSON document";
        return ERR_INVALID;
    }
    enum err err = read_object(r, object, text, len, new_id, why_r);
    json_decref(object);
    return err;
}
