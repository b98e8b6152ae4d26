#include "router/flow/collapse.h"

#include "common/check.h"

#include <string.h>

/* Out, but only as far as the queues of its lanes. */
static bool is_unsent(const struct entry *e)
{
    list_each (link, &e->slots)
        if (!container_of(link, struct slot, entry_link)->waiting)
            return false;
    return true;
}

static bool is_replaced(const struct entry *old, const struct entry *e)
{
    const struct push_str *a = &old->record->push.collapse, *b = &e->record->push.collapse;
    if (a->len != b->len || memcmp(a->at, b->at, a->len) != 0)
        return false;
    return old->item.place == FLOW_HELD || old->item.place == FLOW_FAILED ||
           (flow_is_last_out(&old->item) && is_unsent(old)); /* another would leave a gap in its run */
}

struct entry *collapse_find(const struct entry *e, const struct flow_item *at, uint32_t *left_r)
{
    if (e->record->push.collapse.len == 0)
        return NULL;
    for (struct flow_item *item = flow_before(at); item && *left_r > 0; item = flow_before(item)) {
        struct entry *old = container_of(item, struct entry, item);
        MAGIC_CHECK(old, ENTRY_MAGIC);
        (*left_r)--;
        if (is_replaced(old, e))
            return old;
    }
    return NULL;
}
