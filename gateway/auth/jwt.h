/*
 * Checking of JSON Web Tokens (RFC 7519) in the compact form of RFC 7515. The algorithm is fixed when the key is made:
 * a token that names another one is refused, so none and key confusion are not possible. Pure: time comes in.
 */
#ifndef HERALD_GATEWAY_AUTH_JWT_H
#define HERALD_GATEWAY_AUTH_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "gateway/auth/jwt_key.h"

/* What a good token says. Strings are owned by it, NULL where the claim is absent; attrs and caps are JSON texts. */
struct jwt {
    char *user;   /* sub; never NULL in a good token */
    char *device; /* dev */
    char *attrs;  /* an object */
    char *caps;   /* an array */
    int64_t expires_s;
    bool has_expiry;
};

/* ERR_INVALID: not a token, or its signature is wrong; ERR_REFUSED: another algorithm, not valid yet, no user;
 * ERR_EXPIRED. *why_r is a constant text, fit for logs. jwt_release() only after ERR_OK. */
enum err jwt_verify(const struct jwt_key *key, const char *token, size_t len, int64_t now_s, int64_t leeway_s,
                    struct jwt *jwt_r, const char **why_r) MUST_CHECK;
void jwt_release(struct jwt *jwt);

#endif
