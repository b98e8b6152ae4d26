#include "gateway/session/guest.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "gateway/session/session.h"

struct guest *guest_of(const struct conn *c)
{
    struct guest *guest = conn_owner(c);
    return guest && guest->magic == GUEST_MAGIC ? guest : NULL;
}

struct guest *guest_new(struct conn *c, const char *device)
{
    size_t len = strlen(device);
    struct guest *guest = xmalloc(sizeof *guest + len + 1);
    guest->magic = GUEST_MAGIC;
    guest->bad_messages = 0;
    memcpy(guest->device, device, len + 1);
    conn_set_owner(c, guest);
    return guest;
}

void guest_free(struct conn *c)
{
    struct guest *guest = guest_of(c);
    if (!guest)
        return;
    conn_set_owner(c, NULL);
    free(guest);
}

struct session *guest_session(const struct conn *c)
{
    struct session *s = conn_owner(c);
    if (!s || s->magic == GUEST_MAGIC)
        return NULL;
    MAGIC_CHECK(s, SESSION_MAGIC);
    return s;
}
