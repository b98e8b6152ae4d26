/* What is kept of a connection that is not authenticated yet, if there is anything to keep. */
#ifndef HERALD_GATEWAY_SESSION_GUEST_H
#define HERALD_GATEWAY_SESSION_GUEST_H

#include <stdint.h>

#include "gateway/ws/conn.h"

struct session;

enum { GUEST_MAGIC = 0x6E570001 };

/* The owner of a conn: either this or a session; both begin with their magic word. */
struct guest {
    uint32_t magic;
    uint16_t bad_messages;
    char device[]; /* ?device= of the upgrade request, "" without */
};

/* The conn's guest, NULL when it has none (yet). */
struct guest *guest_of(const struct conn *c);
/* The conn must have no owner. */
struct guest *guest_new(struct conn *c, const char *device);
/* Frees the conn's guest, if it has one. */
void guest_free(struct conn *c);
/* The conn's session; NULL while it has none. */
struct session *guest_session(const struct conn *c);

#endif
