/* An intrusive doubly linked list with a head: a thing is on one list at a time, and leaves it in O(1). */
#ifndef HERALD_COMMON_LIST_H
#define HERALD_COMMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "check.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_after(struct list *at, struct list *item)
{
    item->next = at->next;
    item->prev = at;
    at->next->prev = item;
    at->next = item;
}

static inline void list_push(struct list *head, struct list *item) /* at the tail */
{
    list_insert_after(head->prev, item);
}

static inline void list_push_front(struct list *head, struct list *item)
{
    list_insert_after(head, item);
}

/* Leaves its list; harmless on an initialised item that is on none. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

/* The item has a new place, its bytes copied there: the list goes on through it. */
static inline void list_moved(const struct list *from, struct list *to)
{
    if (from->next == from) {
        list_init(to);
        return;
    }
    to->prev->next = to;
    to->next->prev = to;
}

static inline struct list *list_first(const struct list *head)
{
    return list_is_empty(head) ? NULL : head->next;
}

static inline struct list *list_pop(struct list *head)
{
    struct list *item = list_first(head);
    if (item)
        list_remove(item);
    return item;
}

/* Moves all of `from` to the tail of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* Safe against removal of the current item. */
#define list_each(it, head)                                                                                            \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
