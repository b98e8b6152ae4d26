/*
 * Signing of JSON Web Tokens (RFC 7519) with HS256, for development and tests: heraldctl token and the registry's try
 * page. Checking tokens is the gateway's business (gateway/auth/).
 */
#ifndef HERALD_COMMON_JWT_SIGN_H
#define HERALD_COMMON_JWT_SIGN_H

#include <stddef.h>
#include <stdint.h>

/* The secret of a cluster started on a developer's machine. Known to everyone: never use it anywhere else. */
#define JWT_DEV_SECRET "herald-dev-secret-not-for-production"

struct jwt_claims {
    const char *user;   /* sub */
    const char *device; /* dev; NULL or "": left out */
    uint64_t issued_s;  /* iat, Unix epoch */
    uint64_t expires_s; /* exp, Unix epoch */
};

/* The token, malloc()ed, owned by the caller. user and device are UTF-8; NULL when they are not. */
char *jwt_sign_hs256(const struct jwt_claims *claims, const void *secret, size_t secret_len);

#endif
