/*
 * Shared, immutable, reference-counted bytes: what is encoded once and sent to many. One allocation.
 * ref is the only way to keep one beyond the call that handed it over. Not thread-safe (a process is one thread).
 */
#ifndef HERALD_COMMON_MESSAGE_H
#define HERALD_COMMON_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message; /* opaque; message_bytes() and message_len() */

/* A message of len bytes, with one reference, to be filled through message_fill() before it is shared. */
struct message *message_new(size_t len);
struct message *message_copy(const void *bytes, size_t len);
char *message_fill(struct message *m);
const char *message_bytes(const struct message *m);
size_t message_len(const struct message *m);
/* Another encoding of the same, made on demand and kept with it: has it been decided? NULL: there is none. */
bool message_has_variant(const struct message *m);
struct message *message_variant(const struct message *m);
/* Once; takes the reference. */
void message_set_variant(struct message *m, struct message *variant);
struct message *message_ref(struct message *m);
/* Bytes of all messages that there are now, each counted once, whoever shares it. */
size_t message_held(void);
/* Clears the pointer; the last one frees. NULL inside is a no-op. */
void message_unref(struct message **m);

#endif
