/* Base64url without padding (RFC 4648 section 5), as JWS uses it: strict, one text for each byte string. */
#ifndef HERALD_GATEWAY_AUTH_BASE64URL_H
#define HERALD_GATEWAY_AUTH_BASE64URL_H

#include <stddef.h>

#include "common/err.h"

/* out has room for len * 3 / 4 bytes. ERR_INVALID: a foreign character, padding, a length that cannot be, or bits left
 * over that are not zero. */
enum err base64url_decode(const char *text, size_t len, unsigned char *out, size_t *len_r) MUST_CHECK;

#endif
