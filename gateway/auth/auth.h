/*
 * Who may connect as whom. What a client brought, in any of the four places (Authorization header, query,
 * subprotocol, first message), is gathered into a claim; this decides on it. Tokens and secrets are never logged.
 */
#ifndef HERALD_GATEWAY_AUTH_AUTH_H
#define HERALD_GATEWAY_AUTH_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "gateway/auth/identity.h"

enum auth_mode { AUTH_JWT, AUTH_NONE };
#define AUTH_MODE_CHOICES "jwt|none"

struct auth_settings {
    int mode;      /* enum auth_mode */
    int algorithm; /* enum jwt_alg */
    char *secret, *key_file;
    int64_t leeway_ms;
    int64_t token_max;        /* bytes */
    bool is_expiry_needed;    /* refuse tokens without exp */
    bool is_closed_on_expiry; /* a session ends with its token */
    char *device_default;     /* where neither the client nor the token names one */
};

struct auth;

/* What the client said; NULL where it said nothing. */
struct auth_claim {
    const char *user, *device, *token;
    size_t user_len, device_len, token_len;
};

/* Reads the key. ERR_INVALID, logged, when settings cannot work. Warns where they are not for production. */
enum err auth_new(const struct auth_settings *settings, struct auth **auth_r) MUST_CHECK;
void auth_free(struct auth **auth);
/* Is there enough in it to decide, or should a first message be waited for? */
bool auth_is_decidable(const struct auth *auth, const struct auth_claim *claim);
/* ERR_OK fills identity_r. Else ERR_INVALID, ERR_EXPIRED, ERR_REFUSED or ERR_TOO_LARGE, and *why_r is a constant text
 * that the client may see. */
enum err auth_check(const struct auth *auth, const struct auth_claim *claim, uint64_t wall_ms,
                    struct identity *identity_r, const char **why_r) MUST_CHECK;

#endif
