/* What the session layer is told at the end of the turn, never inside its own calls: fates, and the end of connections.
 */
#include <stdlib.h>

#include "common/check.h"
#include "gateway/ws/conn_internal.h"

static void add(struct conn *c, void *receipt, enum err err)
{
    struct conns *conns = c->conns;
    struct fates *fates = &conns->fates;
    CHECK(!c->is_told); /* closed() is the last call for a connection, both ways */
    if (fates->count == fates->size) {
        fates->size = fates->size ? fates->size * 2 : 64;
        fates->items = xrealloc(fates->items, fates->size * sizeof(fates->items[0]));
    }
    fates->items[fates->count++] = (struct fate){.conn = c, .receipt = receipt, .err = err};
    c->pending_fates++;
    loop_defer(conns->loop, &conns->end_turn);
}

void conn_add_fate(struct conn *c, void *receipt, enum err err)
{
    if (receipt)
        add(c, receipt, err);
}

void conn_add_room(struct conn *c)
{
    add(c, NULL, ERR_OK);
}

void conn_fate_written(struct conn *c, void *receipt)
{
    conn_add_fate(c, receipt, ERR_OK);
}

void conn_fate_closed(struct conn *c, void *receipt)
{
    conn_add_fate(c, receipt, ERR_CLOSED);
}

/* Only those that are pending now: what the upcalls cause waits for the next turn, so a turn ends. */
static void tell_fates(struct conns *conns)
{
    struct fates now = conns->fates;
    conns->fates = conns->fates_spare; /* empty */
    conns->fates_spare = (struct fates){0};
    for (size_t i = 0; i < now.count; i++) {
        struct fate *fate = &now.items[i];
        MAGIC_CHECK(fate->conn, CONN_MAGIC);
        fate->conn->pending_fates--;
        if (fate->receipt)
            conns->events->fate(conns->arg, fate->conn, fate->receipt, fate->err);
        else
            conns->events->room(conns->arg, fate->conn);
    }
    now.count = 0;
    conns->fates_spare = now;
}

static void tell_closed(struct conn *c)
{
    struct conns *conns = c->conns;
    list_remove(&c->link);
    conns->counts[CONN_GONE]--;
    list_push(&conns->told, &c->link);
    loop_reap(conns->loop, &conns->reap);
    c->is_told = true;
    if (c->is_upgraded)
        conns->events->closed(conns->arg, c, (enum close_reason)c->reason);
}

void conn_tell(struct conns *conns)
{
    tell_fates(conns);
    list_each (link, &conns->states[CONN_GONE]) {
        struct conn *c = container_of(link, struct conn, link);
        CHECK(c->magic == CONN_MAGIC);
        if (c->pending_fates == 0)
            tell_closed(c);
    }
    if (conns->fates.count > 0 || conns->counts[CONN_GONE] > 0)
        loop_defer(conns->loop, &conns->end_turn);
}
