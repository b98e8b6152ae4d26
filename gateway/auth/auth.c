#include "gateway/auth/auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/jwt_sign.h"
#include "common/log.h"
#include "gateway/auth/jwt.h"

enum { KEY_FILE_MAX = 65536, SECRET_LEN_MIN = 32 /* RFC 7518 section 3.2 */ };

struct auth {
    struct auth_settings settings; /* strings are the owner's */
    struct jwt_key *key;           /* NULL with AUTH_NONE */
};

static enum err read_file(const char *path, char *bytes, size_t size, size_t *len_r)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        log_error("auth.key_file cannot be read", F_STR("file", path), F_ERRNO(errno));
        return ERR_INVALID;
    }
    *len_r = fread(bytes, 1, size, file);
    fclose(file);
    return ERR_OK;
}

static void warn_of_secret(const char *secret)
{
    if (strcmp(secret, JWT_DEV_SECRET) == 0)
        log_warn("auth.secret is the development secret, which everybody knows: never expose this gateway");
    else if (strlen(secret) < SECRET_LEN_MIN)
        log_warn("auth.secret is shorter than 32 bytes: it can be guessed from one token");
}

static enum err load_key(const struct auth_settings *settings, struct jwt_key **key_r)
{
    const char *why = "";
    enum err err;
    if (settings->algorithm == JWT_HS256) {
        err = jwt_key_new(JWT_HS256, settings->secret, strlen(settings->secret), key_r, &why);
        if (err != ERR_OK)
            log_error("auth.secret is needed with auth.algorithm HS256", F_STR("why", why));
        else
            warn_of_secret(settings->secret);
        return err;
    }
    char *bytes = xmalloc(KEY_FILE_MAX);
    size_t len = 0;
    err = read_file(settings->key_file, bytes, KEY_FILE_MAX, &len);
    if (err == ERR_OK) {
        err = jwt_key_new((enum jwt_alg)settings->algorithm, bytes, len, key_r, &why);
        if (err != ERR_OK)
            log_error("auth.key_file is of no use", F_STR("file", settings->key_file), F_STR("why", why));
    }
    free(bytes);
    return err;
}

enum err auth_new(const struct auth_settings *settings, struct auth **auth_r)
{
    struct jwt_key *key = NULL;
    const char *why = identity_check_device(settings->device_default, strlen(settings->device_default));
    if (why) {
        log_error("auth.device_default is of no use", F_STR("why", why));
        return ERR_INVALID;
    }
    if (settings->mode == AUTH_NONE)
        log_warn("AUTHENTICATION IS OFF (auth.mode=none): any client may connect as any user; trusted networks only");
    else if (load_key(settings, &key) != ERR_OK)
        return ERR_INVALID;
    struct auth *auth = xcalloc(1, sizeof *auth);
    auth->settings = *settings;
    auth->key = key;
    *auth_r = auth;
    return ERR_OK;
}

void auth_free(struct auth **auth)
{
    if (!*auth)
        return;
    jwt_key_free(&(*auth)->key);
    free(*auth);
    *auth = NULL;
}

bool auth_is_decidable(const struct auth *auth, const struct auth_claim *claim)
{
    return auth->settings.mode == AUTH_NONE ? claim->user != NULL : claim->token != NULL;
}

static bool is_same(const char *claimed, size_t len, const char *known)
{
    return strlen(known) == len && memcmp(claimed, known, len) == 0;
}

/* Takes both texts over when they are fit. */
static enum err fill_identity(const char *user, size_t user_len, const char *device, size_t device_len,
                              struct identity *identity_r, const char **why_r)
{
    *why_r = identity_check_user(user, user_len);
    if (!*why_r)
        *why_r = identity_check_device(device, device_len);
    if (*why_r)
        return ERR_REFUSED;
    memcpy(identity_r->user, user, user_len);
    identity_r->user[user_len] = '\0';
    memcpy(identity_r->device, device, device_len);
    identity_r->device[device_len] = '\0';
    identity_r->expires_ms = 0;
    return ERR_OK;
}

/* When this token would not be accepted any more; 0: never, or not in any lifetime. */
static uint64_t expires_ms(const struct auth_settings *settings, const struct jwt *jwt)
{
    bool is_far = jwt->expires_s >= INT64_MAX / 1000 - settings->leeway_ms;
    return jwt->has_expiry && jwt->expires_s > 0 && !is_far ? (uint64_t)(jwt->expires_s * 1000 + settings->leeway_ms)
                                                            : 0;
}

static enum err check_jwt(const struct auth *auth, const struct auth_claim *claim, const struct jwt *jwt,
                          struct identity *identity_r, const char **why_r)
{
    const struct auth_settings *settings = &auth->settings;
    *why_r = NULL;
    if (settings->is_expiry_needed && !jwt->has_expiry)
        *why_r = "the token has no expiry (exp)";
    else if (claim->user && !is_same(claim->user, claim->user_len, jwt->user))
        *why_r = "the token is another user's";
    else if (claim->device && jwt->device && !is_same(claim->device, claim->device_len, jwt->device))
        *why_r = "the token is for another device";
    if (*why_r)
        return ERR_REFUSED;
    const char *device = jwt->device ? jwt->device : claim->device ? claim->device : settings->device_default;
    size_t device_len = !jwt->device && claim->device ? claim->device_len : strlen(device);
    enum err err = fill_identity(jwt->user, strlen(jwt->user), device, device_len, identity_r, why_r);
    if (err == ERR_OK && settings->is_closed_on_expiry)
        identity_r->expires_ms = expires_ms(settings, jwt);
    return err;
}

static enum err check_none(const struct auth *auth, const struct auth_claim *claim, struct identity *identity_r,
                           const char **why_r)
{
    if (!claim->user) {
        *why_r = "no userId";
        return ERR_INVALID;
    }
    const char *device = claim->device ? claim->device : auth->settings.device_default;
    return fill_identity(claim->user, claim->user_len, device, claim->device ? claim->device_len : strlen(device),
                         identity_r, why_r);
}

enum err auth_check(const struct auth *auth, const struct auth_claim *claim, uint64_t wall_ms,
                    struct identity *identity_r, const char **why_r)
{
    if (auth->settings.mode == AUTH_NONE)
        return check_none(auth, claim, identity_r, why_r);
    if (!claim->token) {
        *why_r = "no token";
        return ERR_INVALID;
    }
    if (claim->token_len > (uint64_t)auth->settings.token_max) {
        *why_r = "the token is too long";
        return ERR_TOO_LARGE;
    }
    struct jwt jwt;
    enum err err = jwt_verify(auth->key, claim->token, claim->token_len, (int64_t)(wall_ms / 1000),
                              auth->settings.leeway_ms / 1000, &jwt, why_r);
    if (err != ERR_OK)
        return err;
    err = check_jwt(auth, claim, &jwt, identity_r, why_r);
    jwt_release(&jwt);
    return err;
}
