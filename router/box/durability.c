#include "router/box/durability.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"

enum { VALUE_MAX = 32, SETTING_COUNT = 3 };

struct durability {
    struct redis *redis;
    char values[SETTING_COUNT][VALUE_MAX]; /* "": not told */
    size_t answered;                       /* of the settings asked for last */
};

/* In the order of struct durability_settings. */
static const char *const names[SETTING_COUNT] = {"appendonly", "appendfsync", "maxmemory-policy"};

static bool is(const char *value, const char *wanted)
{
    return value && strcmp(value, wanted) == 0;
}

const char *durability_of_crash(const struct durability_settings *settings)
{
    if (!settings->appendonly || !settings->appendfsync)
        return "Redis does not tell how it keeps them (CONFIG GET)";
    if (!is(settings->appendonly, "yes"))
        return "appendonly is off: a crash of Redis loses all that was stored since its last snapshot";
    if (is(settings->appendfsync, "always"))
        return "appendfsync always: a crash of Redis or its machine loses nothing";
    if (is(settings->appendfsync, "everysec"))
        return "appendfsync everysec: a crash of its machine loses what was stored in the last second";
    return "appendfsync no: a crash of its machine loses what the kernel had not written";
}

const char *durability_of_eviction(const struct durability_settings *settings)
{
    bool is_evicting = settings->maxmemory_policy && !is(settings->maxmemory_policy, "noeviction");
    return is_evicting ? "; maxmemory-policy is not noeviction: what is evicted is lost" : "";
}

static const char *value_of(const struct durability *durability, size_t i)
{
    return durability->values[i][0] ? durability->values[i] : NULL;
}

static struct durability_settings settings_of(const struct durability *durability)
{
    return (struct durability_settings){value_of(durability, 0), value_of(durability, 1), value_of(durability, 2)};
}

static void tell_operator(const struct durability *durability)
{
    struct durability_settings settings = settings_of(durability);
    bool is_kept = is(settings.appendonly, "yes") && *durability_of_eviction(&settings) == '\0';
    struct buf text;
    buf_init(&text);
    durability_tell(durability, &text);
    log_at(is_kept ? LOG_INFO : LOG_WARN, "what mailboxes may lose", F_STR("settings", text.bytes));
    buf_release(&text);
}

/* CONFIG GET answers with name and value, or with nothing where it does not know the name. */
static void on_value(void *arg, enum err err, const struct redis_reply *reply)
{
    struct durability *durability = arg;
    size_t len = 0;
    const char *value = err == ERR_OK ? redis_reply_str(redis_reply_at(reply, 1), &len) : "";
    if (durability->answered >= SETTING_COUNT)
        return; /* of a connection that was given up */
    char *to = durability->values[durability->answered++];
    to[0] = '\0';
    if (len < VALUE_MAX)
        memcpy(to, value, len + 1);
    if (durability->answered == SETTING_COUNT && err == ERR_OK)
        tell_operator(durability);
}

void durability_ask(struct durability *durability)
{
    durability->answered = 0; /* answers come in order, those of the connection before have come */
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (redis_words(durability->redis, on_value, durability, "CONFIG", "GET", names[i], NULL) != ERR_OK)
            return; /* away again */
}

void durability_tell(const struct durability *durability, struct buf *out)
{
    struct durability_settings settings = settings_of(durability);
    if (durability->answered < SETTING_COUNT)
        return;
    buf_add_str(out, "mailboxes: ");
    buf_add_str(out, durability_of_crash(&settings));
    buf_add_str(out, durability_of_eviction(&settings));
}

struct durability *durability_new(struct redis *redis)
{
    struct durability *durability = xcalloc(1, sizeof *durability);
    durability->redis = redis;
    return durability;
}

void durability_free(struct durability **durability)
{
    free(*durability);
    *durability = NULL;
}
