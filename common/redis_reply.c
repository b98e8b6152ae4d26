#include "redis.h"

#include <hiredis/hiredis.h>

/* A struct redis_reply is hiredis' redisReply under a name that does not bring its header along. None, as there is with
 * an error, and where an array has no such element, is a nil. */
static const redisReply *inner(const struct redis_reply *reply)
{
    static const redisReply nil = {.type = REDIS_REPLY_NIL};
    return reply ? (const redisReply *)(const void *)reply : &nil;
}

enum redis_kind redis_reply_kind(const struct redis_reply *reply)
{
    switch (inner(reply)->type) {
    case REDIS_REPLY_STRING:
        return REDIS_STRING;
    case REDIS_REPLY_ARRAY:
        return REDIS_ARRAY;
    case REDIS_REPLY_INTEGER:
        return REDIS_INTEGER;
    case REDIS_REPLY_STATUS:
        return REDIS_STATUS;
    case REDIS_REPLY_ERROR:
        return REDIS_ERROR;
    default:
        return REDIS_NIL;
    }
}

const char *redis_reply_str(const struct redis_reply *reply, size_t *len_r)
{
    const redisReply *r = inner(reply);
    bool is_text = r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS || r->type == REDIS_REPLY_ERROR;
    if (len_r)
        *len_r = is_text ? r->len : 0;
    return is_text ? r->str : "";
}

int64_t redis_reply_int(const struct redis_reply *reply)
{
    return inner(reply)->type == REDIS_REPLY_INTEGER ? inner(reply)->integer : 0;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return inner(reply)->type == REDIS_REPLY_ARRAY ? inner(reply)->elements : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t i)
{
    if (i >= redis_reply_count(reply))
        return NULL;
    return (const struct redis_reply *)(const void *)inner(reply)->element[i];
}
