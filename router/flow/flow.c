#include "router/flow/flow.h"

#include "common/check.h"
#include "common/slab.h"
#include "common/table.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_INLINE = 48, FLOW_MAGIC = 0x666c6f77, TORN_MAX = 64 /* a run goes on so long although it is torn */ };

struct flow {
    uint32_t magic;
    uint8_t mode;
    bool is_torn;
    uint32_t next_index; /* in the run */
    uint64_t run;
    uint32_t out_count, run_count, failed_count;
    uint64_t stamp; /* of the route that the items that are out went by */
    struct list items;
    struct list *first_held; /* &items when there is none; held items are always the tail */
    struct flows *flows;
    uint32_t key_len;
    char *key; /* user, then NUL and device where there is one; then NUL NUL and a priority that is not 0 */
    char key_inline[KEY_INLINE];
};

struct flows {
    struct table *table;
    struct slab *slab;
    uint64_t last_run;
    char *scratch; /* for keys that are put together */
    size_t scratch_size;
};

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct flow *flow = item;
    return flow->key_len == key_len && memcmp(flow->key, key, key_len) == 0;
}

struct flows *flows_new(uint64_t first_run)
{
    struct flows *flows = xcalloc(1, sizeof(*flows));
    flows->table = table_new(match);
    flows->slab = slab_new("flow", sizeof(struct flow));
    flows->last_run = first_run;
    return flows;
}

void flows_free(struct flows **flows)
{
    if (!*flows)
        return;
    CHECK(table_count((*flows)->table) == 0);
    table_free(&(*flows)->table);
    slab_free(&(*flows)->slab);
    free((*flows)->scratch);
    free(*flows);
    *flows = NULL;
}

uint32_t flows_count(const struct flows *flows)
{
    return table_count(flows->table);
}

/* The key of a user's own flow is the user as it stands; only another has to be put together. */
static const char *make_key(struct flows *flows, const char *user, size_t user_len, const char *device,
                            size_t device_len, uint8_t priority, size_t *len_r)
{
    *len_r = user_len;
    if (device_len == 0 && priority == 0)
        return user;
    size_t size = user_len + 1 + device_len + 3;
    if (flows->scratch_size < size) {
        flows->scratch_size = size * 2;
        flows->scratch = xrealloc(flows->scratch, flows->scratch_size);
    }
    memcpy(flows->scratch, user, user_len);
    flows->scratch[user_len] = '\0';
    memcpy(flows->scratch + user_len + 1, device, device_len);
    *len_r = user_len + 1 + device_len;
    if (priority > 0) {
        char *end = flows->scratch + *len_r;
        end[0] = end[1] = '\0';
        end[2] = (char)priority;
        *len_r += 3;
    }
    return flows->scratch;
}

static struct flow *make_flow(struct flows *flows, const char *key, size_t key_len)
{
    struct flow *flow = slab_get(flows->slab);
    flow->magic = FLOW_MAGIC;
    flow->flows = flows;
    list_init(&flow->items);
    flow->first_held = &flow->items;
    flow->key = key_len <= KEY_INLINE ? flow->key_inline : xmalloc(key_len);
    memcpy(flow->key, key, key_len);
    flow->key_len = (uint32_t)key_len;
    table_add(flows->table, key, key_len, flow);
    return flow;
}

static void free_flow(struct flow *flow)
{
    struct flows *flows = flow->flows;
    CHECK(table_remove(flows->table, flow->key, flow->key_len) == flow);
    if (flow->key != flow->key_inline)
        free(flow->key);
    flow->magic = 0;
    slab_put(flows->slab, flow);
}

void flow_add(struct flows *flows, struct flow_item *item, const char *user, size_t user_len, const char *device,
              size_t device_len)
{
    size_t key_len;
    const char *key = make_key(flows, user, user_len, device, device_len, item->priority, &key_len);
    struct flow *flow = table_find(flows->table, key, key_len);
    if (!flow)
        flow = make_flow(flows, key, key_len);
    item->flow = flow;
    item->place = FLOW_HELD;
    list_push(&flow->items, &item->link);
    if (flow->first_held == &flow->items)
        flow->first_held = &item->link;
}

struct flow_item *flow_before(const struct flow_item *item)
{
    struct list *at = item->link.prev;
    return at == &item->flow->items ? NULL : container_of(at, struct flow_item, link);
}

enum flow_mode flow_mode(const struct flow *flow)
{
    return flow->mode;
}

struct flow_item *flow_held(const struct flow *flow)
{
    return flow->first_held == &flow->items ? NULL : container_of(flow->first_held, struct flow_item, link);
}

bool flow_may_send(const struct flow *flow, uint64_t stamp)
{
    bool is_to_restart = flow->is_torn && flow->next_index >= TORN_MAX;
    return flow->mode == FLOW_LIVE && (flow->out_count == 0 || (flow->stamp == stamp && !is_to_restart));
}

struct flow_position flow_next(struct flow *flow)
{
    if (flow->out_count == 0 && (flow->run == 0 || flow->next_index > 0)) {   /* else it is begun, for another device */
        flow->flows->last_run += flow->flows->last_run == UINT64_MAX ? 2 : 1; /* 0 means none */
        flow->run = flow->flows->last_run;
        flow->next_index = 0;
        flow->is_torn = false;
    }
    return (struct flow_position){flow->run, flow->next_index};
}

void flow_torn(struct flow *flow)
{
    flow->is_torn = true;
}

/* An item leaves the place it stands in; where it goes is the caller's. */
static void leave_place(struct flow_item *item)
{
    struct flow *flow = item->flow;
    if (flow->first_held == &item->link)
        flow->first_held = item->link.next;
    flow->out_count -= item->place == FLOW_OUT;
    flow->run_count -= item->place == FLOW_RUN;
    flow->failed_count -= item->place == FLOW_FAILED;
}

void flow_sent(struct flow_item *item, uint64_t stamp)
{
    struct flow *flow = item->flow;
    CHECK(flow->first_held == &item->link && flow_may_send(flow, stamp));
    leave_place(item);
    item->place = FLOW_OUT;
    flow->out_count++;
    flow->next_index++;
    flow->stamp = stamp;
}

bool flow_is_last_out(const struct flow_item *item)
{
    return item->place == FLOW_OUT && item->link.next == item->flow->first_held;
}

void flow_unsent(struct flow_item *item)
{
    CHECK(flow_is_last_out(item) && item->flow->next_index > 0);
    item->flow->next_index--;
}

void flow_failed(struct flow_item *item)
{
    struct flow *flow = item->flow;
    CHECK(flow->magic == FLOW_MAGIC && (item->place == FLOW_OUT || flow->first_held == &item->link));
    CHECK(flow->mode != FLOW_SPILLING);
    leave_place(item);
    item->place = FLOW_FAILED;
    flow->failed_count++;
    flow->mode = FLOW_BREAKING;
}

bool flow_remove(struct flow_item *item)
{
    struct flow *flow = item->flow;
    CHECK(flow->magic == FLOW_MAGIC);
    leave_place(item);
    list_remove(&item->link);
    item->flow = NULL;
    item->place = FLOW_NONE;
    if (list_is_empty(&flow->items)) {
        free_flow(flow);
        return true;
    }
    /* what broke the flow has expired or was abandoned before anything was spilled: those behind may go out after all
     */
    if (flow->mode == FLOW_BREAKING && flow->failed_count == 0)
        flow->mode = FLOW_LIVE;
    return false;
}

bool flow_wants_run(const struct flow *flow)
{
    if (flow->mode == FLOW_LIVE || flow->run_count > 0)
        return false;
    const struct flow_item *first = container_of(flow->items.next, struct flow_item, link);
    return flow->mode == FLOW_SPILLING || first->place != FLOW_OUT;
}

struct flow_item *flow_recall(struct flow *flow)
{
    CHECK(flow_wants_run(flow));
    flow->mode = FLOW_SPILLING;
    while (flow->out_count + flow->failed_count > 0) {
        /* the last of them: so that held items remain the tail */
        struct list *at = flow->first_held->prev;
        struct flow_item *item = container_of(at, struct flow_item, link);
        bool was_out = item->place == FLOW_OUT;
        leave_place(item);
        item->place = FLOW_HELD;
        flow->first_held = at;
        if (was_out)
            return item;
    }
    return NULL;
}

struct flow_item *flow_run_take(struct flow *flow)
{
    CHECK(flow->mode == FLOW_SPILLING && flow->out_count + flow->failed_count == 0);
    struct flow_item *item = flow_held(flow);
    if (!item)
        return NULL;
    leave_place(item);
    item->place = FLOW_RUN;
    flow->run_count++;
    return item;
}

struct flow_item *flow_run_next(const struct flow *flow, const struct flow_item *before)
{
    struct list *at = before ? before->link.next : flow->items.next;
    if (at == &flow->items || at == flow->first_held)
        return NULL;
    return container_of(at, struct flow_item, link);
}

struct flow_item *flow_stored(struct flow *flow, bool *is_gone_r)
{
    *is_gone_r = false;
    if (flow->run_count == 0)
        return NULL;
    struct flow_item *item = container_of(flow->items.next, struct flow_item, link);
    CHECK(item->place == FLOW_RUN);
    *is_gone_r = flow_remove(item);
    return item;
}

bool flow_has_run(const struct flow *flow)
{
    return flow->run_count > 0;
}
