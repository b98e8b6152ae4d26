#include "gateway/session/overflow.h"

#include <stdlib.h>

#include "common/check.h"
#include "gateway/metrics.h"
#include "gateway/session/session.h"

#define X(name, text) text,
const char *const overflow_names[] = {OVERFLOW_LIST(X) NULL};
#undef X

struct overflow {
    struct loop *loop;
    struct loop_task task;
    struct session **doomed; /* each has a reference, and is in it once */
    size_t count, size;
};

static void close_doomed(void *arg)
{
    struct overflow *overflow = arg;
    struct session **doomed = overflow->doomed;
    size_t count = overflow->count;
    overflow->doomed = NULL;
    overflow->count = overflow->size = 0;
    for (size_t i = 0; i < count; i++) {
        if (doomed[i]->state != SESSION_ENDED)
            session_close(doomed[i], CLOSE_SLOW, "too slow");
        session_unref(doomed[i]);
    }
    free(doomed);
}

struct overflow *overflow_new(struct loop *loop)
{
    struct overflow *overflow = xcalloc(1, sizeof *overflow);
    overflow->loop = loop;
    loop_task_init(&overflow->task, close_doomed, overflow);
    return overflow;
}

void overflow_free(struct overflow **overflow)
{
    if (!*overflow)
        return;
    loop_task_cancel((*overflow)->loop, &(*overflow)->task);
    close_doomed(*overflow);
    free(*overflow);
    *overflow = NULL;
}

enum overflow_class overflow_class_of(const Herald__V1__Delivery *delivery)
{
    if (delivery->class_ == HERALD__V1__CLASS__CLASS_DURABLE)
        return OVERFLOW_DURABLE;
    return delivery->kind == HERALD__V1__KIND__KIND_PUSH ? OVERFLOW_VOLATILE : OVERFLOW_BROADCAST;
}

static void doom(struct overflow *overflow, struct session *s)
{
    if (s->is_doomed)
        return;
    s->is_doomed = true;
    if (overflow->count == overflow->size) {
        overflow->size = overflow->size ? overflow->size * 2 : 16;
        overflow->doomed = xrealloc(overflow->doomed, overflow->size * sizeof(*overflow->doomed));
    }
    overflow->doomed[overflow->count++] = session_ref(s);
    loop_defer(overflow->loop, &overflow->task);
}

void overflow_happened(struct overflow *overflow, struct session *s, enum overflow_class class,
                       enum overflow_policy policy)
{
    metric_add_labelled(METRIC_PUSHES_SLOW, class, 1);
    if (policy == OVERFLOW_DISCONNECT)
        doom(overflow, s);
}
