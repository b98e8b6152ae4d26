#include "router/source/tenure.h"

#include "common/check.h"
#include "common/list.h"
#include "common/log.h"
#include "common/metric.h"
#include "common/redis_script.h"
#include "router/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TENURE_MAGIC = 0x74656e75,
    TICK_MS = 1000,
    SILENCE_MS = 30000, /* so long an owner is believed that does not show itself: more than Kafka's session time-out */
    STUCK_MS = 60000
};

struct tenure {
    uint32_t magic;
    struct list link;
    struct tenures *tenures;
    int32_t partition, generation;
    int64_t first_offset, life; /* life 0: not begun */
    uint64_t lost_ms;           /* 0: ours */
    bool is_asking, is_ended;   /* ended with a call under way: freed with its answer */
};

struct tenures {
    struct redis *redis;
    struct loop *loop;
    const char *topic;
    struct tenures_events events;
    void *arg;
    struct list list, ended;
    struct loop_timer *timer;
};

static void lose(struct tenure *tenure)
{
    struct tenures *tenures = tenure->tenures;
    tenure->lost_ms = loop_now_ms(tenures->loop);
    metric_add(METRIC_TENURES_LOST, 1);
    log_warn("another router owns the partition", F_INT("partition", tenure->partition),
             F_INT("generation", tenure->generation));
    tenures->events.lost(tenures->arg, tenure->partition);
}

static void take_answer(struct tenure *tenure, int64_t life)
{
    struct tenures *tenures = tenure->tenures;
    if (life == 0 && tenure->life > 0) {
        lose(tenure);
    } else if (life == 0) {
        metric_add(METRIC_TENURES_REFUSED, 1);
        log_limited(LOG_WARN, "partition waits: a router with a higher generation was there",
                    F_INT("partition", tenure->partition), F_INT("generation", tenure->generation));
    } else if (tenure->life == 0) {
        tenure->life = life;
        tenures->events.begun(tenures->arg, tenure->partition, life, tenure->generation);
    }
}

static void on_reply(void *arg, enum err err, const struct redis_reply *reply)
{
    struct tenure *tenure = arg;
    MAGIC_CHECK(tenure, TENURE_MAGIC);
    tenure->is_asking = false;
    if (tenure->is_ended) {
        list_remove(&tenure->link);
        tenure->magic = 0;
        free(tenure);
        return;
    }
    if (err) {
        if (err != ERR_CLOSED)
            log_limited(LOG_WARN, "owning a partition cannot be shown", F_ERR(err));
        return;
    }
    take_answer(tenure, redis_reply_int(reply));
}

static void ask(struct tenure *tenure)
{
    struct tenures *tenures = tenure->tenures;
    char key[512], generation[16], offset[24], life[24], silence[16];
    if (tenure->is_asking)
        return;
    if (tenure->life == 0) {
        int32_t now = tenures->events.generation(tenures->arg);
        if (now < 0)
            return; /* between two generations; a later one is as good */
        tenure->generation = now;
    }
    snprintf(key, sizeof(key), "herald:source:%s/%" PRId32, tenures->topic, tenure->partition);
    snprintf(generation, sizeof(generation), "%" PRId32, tenure->generation);
    snprintf(offset, sizeof(offset), "%" PRId64,
             tenure->life ? tenures->events.committed(tenures->arg, tenure->partition) : tenure->first_offset);
    snprintf(life, sizeof(life), "%" PRId64, tenure->life);
    snprintf(silence, sizeof(silence), "%d", SILENCE_MS);
    const char *argv[] = {key, generation, offset, life, silence};
    tenure->is_asking = !redis_script(tenures->redis, REDIS_SCRIPT_SOURCE_BEGIN, on_reply, tenure, 1, 5, argv, NULL);
}

static void on_tick(void *arg)
{
    struct tenures *tenures = arg;
    uint64_t now_ms = loop_now_ms(tenures->loop);
    list_each (at, &tenures->list) {
        struct tenure *tenure = container_of(at, struct tenure, link);
        if (tenure->lost_ms == 0) {
            ask(tenure);
        } else if (now_ms - tenure->lost_ms > STUCK_MS) {
            tenure->lost_ms = now_ms; /* once in a while */
            tenures->events.stuck(tenures->arg, tenure->partition);
        }
    }
}

struct tenures *tenures_new(struct loop *loop, struct redis *redis, const char *topic,
                            const struct tenures_events *events, void *arg)
{
    struct tenures *tenures = xcalloc(1, sizeof(*tenures));
    tenures->loop = loop;
    tenures->redis = redis;
    tenures->topic = topic;
    tenures->events = *events;
    tenures->arg = arg;
    list_init(&tenures->list);
    list_init(&tenures->ended);
    tenures->timer = loop_timer_new(loop, on_tick, tenures);
    loop_timer_start(tenures->timer, TICK_MS, TICK_MS);
    return tenures;
}

static void free_all(struct list *list)
{
    struct list *at;
    while ((at = list_pop(list)))
        free(container_of(at, struct tenure, link));
}

void tenures_free(struct tenures **tenures)
{
    if (!*tenures)
        return;
    loop_timer_free(&(*tenures)->timer);
    free_all(&(*tenures)->list);
    free_all(&(*tenures)->ended);
    free(*tenures);
    *tenures = NULL;
}

void tenures_begin(struct tenures *tenures, int32_t partition, int64_t first_offset)
{
    struct tenure *tenure = xcalloc(1, sizeof(*tenure));
    tenure->magic = TENURE_MAGIC;
    tenure->tenures = tenures;
    tenure->partition = partition;
    tenure->first_offset = first_offset;
    list_push(&tenures->list, &tenure->link);
    ask(tenure);
}

void tenures_end(struct tenures *tenures, int32_t partition)
{
    list_each (at, &tenures->list) {
        struct tenure *tenure = container_of(at, struct tenure, link);
        if (tenure->partition != partition)
            continue;
        list_remove(&tenure->link);
        tenure->is_ended = true;
        if (tenure->is_asking) {
            list_push(&tenures->ended, &tenure->link);
            return;
        }
        tenure->magic = 0;
        free(tenure);
        return;
    }
}

void tenures_redis_up(struct tenures *tenures)
{
    list_each (at, &tenures->list) {
        struct tenure *tenure = container_of(at, struct tenure, link);
        if (tenure->life == 0)
            ask(tenure);
    }
}
