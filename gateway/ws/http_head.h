/*
 * The head of an HTTP/1.1 request, parsed strictly and in pieces of any size. Pure: bytes in, a verdict out.
 *
 * Strict means (RFC 9112): lines end with CR LF and nothing else, no folded fields, no white space before a colon, no
 * control characters, exactly one Host, no body. What a proxy in front might read differently is refused, not repaired.
 */
#ifndef HERALD_GATEWAY_WS_HTTP_HEAD_H
#define HERALD_GATEWAY_WS_HTTP_HEAD_H

#include <stddef.h>

struct http_head;

enum http_head_state { HTTP_HEAD_MORE, HTTP_HEAD_DONE, HTTP_HEAD_BAD };

enum { HTTP_HEAD_BYTES_MAX = 65535, HTTP_HEAD_FIELDS_MAX = 64 };

struct http_head *http_head_new(void);
void http_head_free(struct http_head **head);
/* Makes it ready for another request of at most max_bytes (<= HTTP_HEAD_BYTES_MAX); needed after new, too. What was
 * read before is wiped: it may hold a token. */
void http_head_clear(struct http_head *head, size_t max_bytes);

/* Feeds bytes; *used_r says how many belonged to the head (fewer than len only with DONE: what follows it). After DONE
 * or BAD it must not be called again. */
enum http_head_state http_head_feed(struct http_head *head, const char *bytes, size_t len, size_t *used_r);

/* After BAD: 400, 413, 414 or 431, and a constant text. */
int http_head_status(const struct http_head *head);
const char *http_head_why(const struct http_head *head);

/* After DONE. NUL-terminated, in the head's own memory, which the caller may change (it decodes in place). */
char *http_head_method(struct http_head *head);
char *http_head_target(struct http_head *head);
/* The nth (from 0) field of that name, ASCII case ignored; white space around the value is gone. NULL: there is none.
 */
char *http_head_field(struct http_head *head, const char *name, unsigned nth);

#endif
