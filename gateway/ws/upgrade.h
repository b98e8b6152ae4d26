/*
 * The decision on an upgrade request (RFC 6455 section 4.2) and its answer. Pure.
 *
 * Tokens are taken from `Authorization: Bearer`, `?token=`, or a Sec-WebSocket-Protocol item `herald.jwt.<JWT>`, in
 * this order; that item is never sent back. The query is decoded as browsers encode it: percent escapes, + for a space.
 */
#ifndef HERALD_GATEWAY_WS_UPGRADE_H
#define HERALD_GATEWAY_WS_UPGRADE_H

#include "common/buf.h"
#include "gateway/ws/conn.h"
#include "gateway/ws/deflate_offer.h"
#include "gateway/ws/http_head.h"

struct upgrade {
    int status;                     /* 101, or that of the refusal (http_status.h) */
    const char *why;                /* of a refusal: constant, one line */
    struct upgrade_request request; /* its strings live in the head, whatever the status */
    const char *key;                /* Sec-WebSocket-Key */
    const char *protocol;           /* the chosen subprotocol; NULL: none */
    struct deflate_terms deflate;   /* permessage-deflate, where it was offered and is accepted */
};

/* Decodes inside the head's memory. takeover_bits: see deflate_offer_accept(). */
void upgrade_decide(struct http_head *head, const struct conn_settings *settings, int takeover_bits,
                    struct upgrade *u_r);
/* Appends the 101, or the refusal. */
void upgrade_answer(const struct upgrade *u, struct buf *out);
/* Appends a refusal that needs no request: 400, 413, 414, 431 from the parser, 503. */
void upgrade_refusal(int status, const char *why, unsigned retry_after_s, struct buf *out);

#endif
