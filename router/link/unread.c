#include "router/link/unread.h"

void unread_sent(struct unread *unread, uint64_t bytes)
{
    unread->sent += bytes;
}

void unread_mark(struct unread *unread, uint64_t us)
{
    unread->last = (unread->last + 1) % UNREAD_MARKS;
    unread->marks[unread->last].us = us;
    unread->marks[unread->last].sent = unread->sent;
}

bool unread_echoed(struct unread *unread, uint64_t us)
{
    for (unsigned i = 0; i < UNREAD_MARKS; i++) {
        if (unread->marks[i].us != us || unread->marks[i].sent <= unread->taken)
            continue;
        unread->taken = unread->marks[i].sent;
        return true;
    }
    return false;
}

uint64_t unread_bytes(const struct unread *unread)
{
    return unread->sent - unread->taken;
}

bool unread_wants_mark(const struct unread *unread, uint64_t max)
{
    return unread->sent - unread->marks[unread->last].sent > max / UNREAD_MARKS;
}
