/* UTF-8 validation in pieces (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). Pure. */
#ifndef HERALD_GATEWAY_WS_UTF8_H
#define HERALD_GATEWAY_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: at the start of a character. Exposed to be embedded. */
struct utf8 {
    uint8_t left;      /* continuation bytes still to come */
    uint8_t low, high; /* range of the next one */
};

/* False: the text can not become valid any more. */
bool utf8_feed(struct utf8 *u, const char *bytes, size_t len);
/* Not in the middle of a character. */
bool utf8_is_complete(const struct utf8 *u);
/* A whole text at once. */
bool utf8_is_valid(const char *bytes, size_t len);

#endif
