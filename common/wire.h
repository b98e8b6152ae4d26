/*
 * Protobuf on the hot path: the same bytes as protobuf-c reads and writes, driven by the same generated descriptors,
 * for half of its instructions (it measures each message before it writes it, and looks at each field twice when it
 * reads).
 *
 * For proto3 messages of singular varints, strings, bytes and messages, and of repeated strings and messages: that is
 * what link.proto is made of. A descriptor with anything else is a mistake of the programmer, and is asserted.
 * https://protobuf.dev/programming-guides/encoding/
 */
#ifndef HERALD_COMMON_WIRE_H
#define HERALD_COMMON_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "buf.h"
#include "err.h"

/* Appends tag, length and the message: a piece of a larger one. */
void wire_put_piece(struct buf *out, uint32_t field, const ProtobufCMessage *piece);
/* Appends the message alone. */
void wire_put(struct buf *out, const ProtobufCMessage *message);

/* A message made by `allocator`, which need not give memory back one by one: nothing is freed when this fails. Fields
 * of type `bytes` point into `bytes`, so these have to stay as long as the message is used. Fields that the descriptor
 * does not know are skipped. ERR_INVALID: not such a message; ERR_TOO_LARGE: the allocator had no more. */
enum err wire_unpack(const ProtobufCMessageDescriptor *descriptor, const ProtobufCAllocator *allocator,
                     const void *bytes, size_t len, ProtobufCMessage **message_r) MUST_CHECK;

#endif
