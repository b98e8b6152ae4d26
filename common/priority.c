#include "priority.h"

#include "check.h"

enum { UNIT = 1 << 16 /* so that small costs over large weights do not vanish */ };

void priority_init(struct priority_queue *queue)
{
    *queue = (struct priority_queue){0};
    for (int i = 0; i < PRIORITY_COUNT; i++)
        list_init(&queue->lists[i]);
}

/* A class that was empty starts with what the least of the others has spent: it must not make up for the time in which
 * it wanted nothing. With nobody waiting all start anew. */
static void wake(struct priority_queue *queue, enum priority_class class)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < PRIORITY_COUNT; i++)
        if (!list_is_empty(&queue->lists[i]) && queue->spent[i] < least)
            least = queue->spent[i];
    if (queue->count == 0) {
        for (int i = 0; i < PRIORITY_COUNT; i++)
            queue->spent[i] = 0;
    } else if (queue->spent[class] < least) {
        queue->spent[class] = least;
    }
}

void priority_push(struct priority_queue *queue, enum priority_class class, struct list *link)
{
    if (list_is_empty(&queue->lists[class]))
        wake(queue, class);
    list_push(&queue->lists[class], link);
    queue->count++;
}

enum priority_class priority_next(const struct priority_queue *queue)
{
    enum priority_class next = PRIORITY_COUNT;
    CHECK(queue->count > 0);
    for (int i = 0; i < PRIORITY_COUNT; i++)
        if (!list_is_empty(&queue->lists[i]) && (next == PRIORITY_COUNT || queue->spent[i] < queue->spent[next]))
            next = (enum priority_class)i;
    return next;
}

struct list *priority_first(const struct priority_queue *queue, enum priority_class class)
{
    return list_first(&queue->lists[class]);
}

struct list *priority_pop(struct priority_queue *queue, enum priority_class class, size_t cost,
                          const struct priority_weights *weights)
{
    struct list *link = list_pop(&queue->lists[class]);
    if (!link)
        return NULL;
    queue->count--;
    queue->spent[class] += (uint64_t)cost * UNIT / (uint64_t)weights->of[class] + 1;
    return link;
}

void priority_remove(struct priority_queue *queue, struct list *link)
{
    CHECK(queue->count > 0 && !list_is_empty(link));
    list_remove(link);
    queue->count--;
}
