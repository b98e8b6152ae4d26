#include "router/record/canary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/metric.h"
#include "router/metrics.h"

#define PREFIX "~canary-"
enum { PREFIX_LEN = sizeof(PREFIX) - 1, RECORD_MAX = 512, TTL_MAX_MS = 3600000 };

bool canary_is(const struct record *record)
{
    const struct push_str *user = &record->push.user;
    return record->push.to == PUSH_TO_USER && user->len > PREFIX_LEN && user->at[0] == '~' &&
           memcmp(user->at, PREFIX, PREFIX_LEN) == 0;
}

/* Only what gateways call themselves: so nothing has to be escaped. */
static bool is_canary_user(const char *user)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(user);
    return len > PREFIX_LEN && len <= PUSH_USER_MAX && strncmp(user, PREFIX, PREFIX_LEN) == 0 &&
           user[PREFIX_LEN + strspn(user + PREFIX_LEN, allowed)] == '\0';
}

static void on_delivered(void *arg, enum err err)
{
    (void)arg;
    metric_add_labelled(METRIC_CANARY_REQUESTS, err == ERR_OK ? 0 : 1, 1);
}

void canary_produce(struct kafka_producer *producer, const char *topic, const Herald__V1__CanaryRequest *request)
{
    char value[RECORD_MAX];
    uint64_t ttl_ms = request->ttl_ms > 0 && request->ttl_ms <= TTL_MAX_MS ? request->ttl_ms : TTL_MAX_MS;
    if (!is_canary_user(request->user)) {
        metric_add_labelled(METRIC_CANARY_REQUESTS, 1, 1);
        return;
    }
    int len = snprintf(value, sizeof(value),
                       "{\"to\":{\"user\":\"%s\"},\"class\":\"durable\",\"ttlMs\":%" PRIu64
                       ",\"content\":{\"generation\":%" PRIu64 ",\"number\":%" PRIu64 "}}",
                       request->user, ttl_ms, request->generation, request->number);
    enum err err = kafka_produce(producer, topic, request->user, strlen(request->user), value, (size_t)len, NULL, 0,
                                 on_delivered, NULL);
    if (err)
        on_delivered(NULL, err);
}
