#include "gateway/session/backlog.h"

#include <stdlib.h>

#include "common/check.h"

struct node {
    struct list link;
    struct backlog_entry entry;
};

struct backlog {
    struct priority_queue queue;
    uint32_t durable_count;
    size_t bytes[2]; /* by is_durable */
};

static size_t cost_of(const struct backlog_entry *entry)
{
    return message_len(entry->frame) + sizeof(struct node);
}

void backlog_add(struct backlog **backlog, const struct backlog_entry *entry)
{
    if (!*backlog) {
        *backlog = xcalloc(1, sizeof **backlog);
        priority_init(&(*backlog)->queue);
    }
    struct backlog *b = *backlog;
    struct node *node = xmalloc(sizeof *node);
    node->entry = *entry;
    priority_push(&b->queue, (enum priority_class)entry->class, &node->link);
    b->durable_count += entry->is_durable;
    b->bytes[entry->is_durable] += cost_of(entry);
}

/* The node is off the queue. */
static void hand_over(struct backlog **backlog, struct node *node, struct backlog_entry *entry_r)
{
    struct backlog *b = *backlog;
    *entry_r = node->entry;
    free(node);
    b->durable_count -= entry_r->is_durable;
    b->bytes[entry_r->is_durable] -= cost_of(entry_r);
    if (b->queue.count == 0) {
        free(b);
        *backlog = NULL;
    }
}

bool backlog_take(struct backlog **backlog, const struct priority_weights *weights, struct backlog_entry *entry_r)
{
    if (!*backlog)
        return false;
    struct priority_queue *queue = &(*backlog)->queue;
    enum priority_class class = priority_next(queue);
    struct node *node = container_of(priority_first(queue, class), struct node, link);
    (void)priority_pop(queue, class, cost_of(&node->entry), weights);
    hand_over(backlog, node, entry_r);
    return true;
}

static bool take(struct backlog **backlog, struct node *node, struct backlog_entry *entry_r)
{
    priority_remove(&(*backlog)->queue, &node->link);
    hand_over(backlog, node, entry_r);
    return true;
}

bool backlog_take_older(struct backlog **backlog, const struct backlog_entry *newer, struct backlog_entry *entry_r)
{
    if (!*backlog || newer->collapse_hash == 0)
        return false;
    list_each (link, &(*backlog)->queue.lists[newer->class]) {
        struct node *node = container_of(link, struct node, link);
        if (node->entry.collapse_hash == newer->collapse_hash && node->entry.is_durable == newer->is_durable)
            return take(backlog, node, entry_r);
    }
    return false;
}

bool backlog_take_oldest(struct backlog **backlog, uint8_t traffic, enum priority_class class,
                         struct backlog_entry *entry_r)
{
    for (int lower = PRIORITY_COUNT - 1; *backlog && lower >= (int)class; lower--) {
        list_each (link, &(*backlog)->queue.lists[lower]) {
            struct node *node = container_of(link, struct node, link);
            if (node->entry.traffic == traffic)
                return take(backlog, node, entry_r);
        }
    }
    return false;
}

bool backlog_take_id(struct backlog **backlog, uint64_t id_hash, struct backlog_entry *entry_r)
{
    for (int class = 0; *backlog && class < PRIORITY_COUNT; class ++) {
        list_each (link, &(*backlog)->queue.lists[class]) {
            struct node *node = container_of(link, struct node, link);
            if (node->entry.is_durable && node->entry.id_hash == id_hash)
                return take(backlog, node, entry_r);
        }
    }
    return false;
}

uint32_t backlog_durable_count(const struct backlog *backlog)
{
    return backlog ? backlog->durable_count : 0;
}

size_t backlog_bytes(const struct backlog *backlog, bool is_durable)
{
    return backlog ? backlog->bytes[is_durable] : 0;
}
