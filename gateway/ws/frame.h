/*
 * Encoding of data and control frames, server to client: unmasked, never fragmented (RFC 6455 section 5.2). A frame is
 * encoded once into a shared message, whoever it is sent to.
 */
#ifndef HERALD_GATEWAY_WS_FRAME_H
#define HERALD_GATEWAY_WS_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

enum frame_opcode { FRAME_TEXT = 0x1, FRAME_BINARY = 0x2, FRAME_CLOSE = 0x8, FRAME_PING = 0x9, FRAME_PONG = 0xA };

enum { FRAME_HEAD_MAX = 10 };

/* Writes the header of an unfragmented frame with that payload length; returns its size (2, 4 or 10). */
size_t frame_head(unsigned char head_r[FRAME_HEAD_MAX], enum frame_opcode opcode, uint64_t payload_len);
/* Size of the header of a frame that frame_head() began. */
size_t frame_head_len(const char *frame);
/* Header and payload in one message with one reference. */
struct message *frame_new(enum frame_opcode opcode, const void *payload, size_t len);

#endif
