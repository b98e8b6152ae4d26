#include "redis_script.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "decimal.h"
#include "lua_scripts.h"

static const struct {
    const char *source, *sha;
    size_t len;
} scripts[REDIS_SCRIPT_COUNT] = {
#define X(name, file) [REDIS_SCRIPT_##name] = {lua_##file, lua_##file##_sha, sizeof lua_##file - 1},
    REDIS_SCRIPT_LIST(X)
#undef X
};

enum { HEAD = 3 }; /* EVALSHA, SHA-1, number of keys */

/* A copy of the arguments is kept until the reply, for the case that Redis does not know the script. One allocation:
 * the struct, argv, lens, then the bytes. */
struct call {
    struct redis *redis;
    enum redis_script script;
    redis_fn *fn;
    void *arg;
    int argc;
    bool is_whole; /* sent as EVAL */
    char key_count[DECIMAL_MAX + 1];
    size_t *lens;
    const char *argv[];
};

const char *redis_script_source(enum redis_script script, size_t *len_r)
{
    *len_r = scripts[script].len;
    return scripts[script].source;
}

static struct call *call_new(int argc, const char *const *argv, const size_t *lens)
{
    size_t words = (size_t)argc + HEAD, bytes = 0;
    for (int i = 0; i < argc; i++)
        bytes += lens ? lens[i] : strlen(argv[i]);
    struct call *call = xmalloc(sizeof *call + words * (sizeof *call->argv + sizeof *call->lens) + bytes);
    call->argc = argc + HEAD;
    call->is_whole = false;
    call->lens = (size_t *)(void *)(call->argv + words);
    char *at = (char *)(call->lens + words);
    for (int i = 0; i < argc; i++) {
        size_t len = lens ? lens[i] : strlen(argv[i]);
        if (len)
            memcpy(at, argv[i], len);
        call->argv[HEAD + i] = at;
        call->lens[HEAD + i] = len;
        at += len;
    }
    return call;
}

static void set_head(struct call *call, const char *verb, const char *script, size_t script_len)
{
    call->argv[0] = verb;
    call->lens[0] = strlen(verb);
    call->argv[1] = script;
    call->lens[1] = script_len;
    call->argv[2] = call->key_count;
    call->lens[2] = strlen(call->key_count);
}

static bool is_noscript(const struct redis_reply *reply)
{
    static const char word[] = "NOSCRIPT";
    size_t len;
    const char *text = redis_reply_str(reply, &len);
    return len >= sizeof word - 1 && !memcmp(text, word, sizeof word - 1);
}

static void call_done(void *arg, enum err err, const struct redis_reply *reply)
{
    struct call *call = arg;
    if (err == ERR_REFUSED && !call->is_whole && is_noscript(reply)) {
        call->is_whole = true;
        set_head(call, "EVAL", scripts[call->script].source, scripts[call->script].len);
        err = redis_command(call->redis, call_done, call, call->argc, call->argv, call->lens);
        if (err == ERR_OK)
            return;
        reply = NULL;
    }
    if (call->fn)
        call->fn(call->arg, err, reply);
    free(call);
}

enum err redis_script(struct redis *redis, enum redis_script script, redis_fn *fn, void *arg, int key_count, int argc,
                      const char *const *argv, const size_t *lens)
{
    CHECK(script < REDIS_SCRIPT_COUNT && key_count >= 0 && key_count <= argc);
    if (!redis_is_up(redis))
        return ERR_AWAY; /* before the copy is made */
    struct call *call = call_new(argc, argv, lens);
    call->redis = redis;
    call->script = script;
    call->fn = fn;
    call->arg = arg;
    *decimal_put_uint(call->key_count, (uint64_t)key_count) = '\0';
    set_head(call, "EVALSHA", scripts[script].sha, strlen(scripts[script].sha));
    enum err err = redis_command(redis, call_done, call, call->argc, call->argv, call->lens);
    if (err != ERR_OK)
        free(call);
    return err;
}
