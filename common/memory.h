/*
 * Memory for libraries that are asked to judge something: JSON, protobuf, cryptography. Without memory they answer as
 * if the thing were wrong: a valid record would be a dead letter, a good token be refused. So what they allocate is of
 * the kind of xmalloc(): there is some, or the process ends, has acknowledged nothing, and is started anew.
 */
#ifndef HERALD_COMMON_MEMORY_H
#define HERALD_COMMON_MEMORY_H

#include <protobuf-c/protobuf-c.h>

/* First in a program: before jansson and OpenSSL allocate anything. Again: no-op. */
void memory_init(void);
/* In place of NULL for protobuf-c's unpack functions; what they made may be freed with NULL, too. */
ProtobufCAllocator *memory_protobuf(void);

#endif
