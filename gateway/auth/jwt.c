#include "gateway/auth/jwt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/json_scan.h"
#include "gateway/auth/base64url.h"

enum { NUMBER_MAX = 64 };

static const char *const alg_names[] = {"HS256", "RS256", "ES256", "EdDSA"};

/* The three parts between the dots. */
struct parts {
    const char *head, *body, *sig;
    size_t head_len, body_len, sig_len;
};

static bool split(const char *token, size_t len, struct parts *parts_r)
{
    const char *end = token + len;
    const char *dot1 = memchr(token, '.', len);
    const char *dot2 = dot1 ? memchr(dot1 + 1, '.', (size_t)(end - dot1 - 1)) : NULL;
    if (!dot2 || memchr(dot2 + 1, '.', (size_t)(end - dot2 - 1)))
        return false;
    *parts_r = (struct parts){
        token, dot1 + 1, dot2 + 1, (size_t)(dot1 - token), (size_t)(dot2 - dot1 - 1), (size_t)(end - dot2 - 1)};
    return parts_r->head_len > 0 && parts_r->body_len > 0 && parts_r->sig_len > 0;
}

/* Decodes a part into `bytes` (room for len) and finds these members of the object in it. A member given twice could be
 * read differently by others: false, as for anything else that is not one good object. */
static bool read_part(const char *text, size_t len, char *bytes, const char *const *names, size_t count,
                      struct json_span *spans_r)
{
    size_t bytes_len = 0;
    if (base64url_decode(text, len, (unsigned char *)bytes, &bytes_len) != ERR_OK ||
        json_scan_object(bytes, bytes_len, names, count, spans_r, NULL, NULL) != ERR_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        if (spans_r[i].is_repeated)
            return false;
    return true;
}

static enum err check_head(const struct jwt_key *key, const struct parts *parts, char *bytes, const char **why_r)
{
    static const char *const names[] = {"alg", "crit"};
    struct json_span found[2];
    if (!read_part(parts->head, parts->head_len, bytes, names, 2, found)) {
        *why_r = "malformed header";
        return ERR_INVALID;
    }
    bool is_right = json_span_is(&found[0], alg_names[jwt_key_alg(key)]);
    if (is_right && found[1].kind == JSON_NONE)
        return ERR_OK;
    *why_r = is_right ? "critical extensions are not supported" : "another algorithm than the configured one";
    return ERR_REFUSED;
}

static enum err check_signature(const struct jwt_key *key, const struct parts *parts, char *bytes, const char **why_r)
{
    size_t sig_len = 0, signed_len = parts->head_len + 1 + parts->body_len;
    bool is_right = base64url_decode(parts->sig, parts->sig_len, (unsigned char *)bytes, &sig_len) == ERR_OK &&
                    jwt_key_check(key, parts->head, signed_len, (unsigned char *)bytes, sig_len);
    *why_r = is_right ? NULL : "wrong signature";
    return is_right ? ERR_OK : ERR_INVALID;
}

/* --- claims ----------------------------------------------------------------------------------------------------------
 */

enum claim { CLAIM_SUB, CLAIM_DEV, CLAIM_EXP, CLAIM_NBF, CLAIM_ATTRS, CLAIM_CAPS, CLAIM_COUNT };
static const char *const claim_names[] = {"sub", "dev", "exp", "nbf", "attrs", "caps"};

/* Whole seconds are the rule; RFC 7519 allows fractions and exponents. */
static bool read_seconds(const struct json_span *value, int64_t *seconds_r)
{
    char text[NUMBER_MAX];
    if (json_span_int(value, seconds_r) == ERR_OK)
        return *seconds_r > -INT64_C(9000000000000000) && *seconds_r < INT64_C(9000000000000000);
    if (value->kind != JSON_NUMBER || value->len >= sizeof text)
        return false;
    memcpy(text, value->at, value->len);
    text[value->len] = '\0';
    double seconds = strtod(text, NULL);
    if (!(fabs(seconds) < 9e15))
        return false;
    *seconds_r = (int64_t)seconds;
    return true;
}

/* Absent is fine, another type is not. Beyond +-2^53 s a token's time is nonsense, and would overflow with leeway. */
static bool read_time(const struct json_span *value, bool *has_r, int64_t *time_r)
{
    *has_r = value->kind != JSON_NONE;
    return !*has_r || read_seconds(value, time_r);
}

static enum err check_times(const struct json_span *claims, int64_t now_s, int64_t leeway_s, struct jwt *jwt,
                            const char **why_r)
{
    bool has_start;
    int64_t start_s = 0;
    if (!read_time(&claims[CLAIM_EXP], &jwt->has_expiry, &jwt->expires_s) ||
        !read_time(&claims[CLAIM_NBF], &has_start, &start_s)) {
        *why_r = "malformed exp or nbf";
        return ERR_INVALID;
    }
    if (jwt->has_expiry && now_s >= jwt->expires_s + leeway_s) {
        *why_r = "expired";
        return ERR_EXPIRED;
    }
    if (has_start && now_s + leeway_s < start_s) {
        *why_r = "not valid yet";
        return ERR_REFUSED;
    }
    return ERR_OK;
}

/* A string's text, malloc()ed; NULL: it is none. False: it is one that cannot be. */
static bool take_str(const struct json_span *value, char **str_r)
{
    struct buf scratch;
    const char *str;
    size_t len;
    if (value->kind != JSON_STRING)
        return true;
    buf_init(&scratch);
    bool is_good = json_span_str(value, &scratch, &str, &len) == ERR_OK;
    if (is_good)
        *str_r = xstrndup(str, len);
    buf_release(&scratch);
    return is_good;
}

static char *take_json(const struct json_span *value, enum json_kind kind)
{
    return value->kind == kind ? xstrndup(value->at, value->len) : NULL;
}

static enum err read_claims(const struct parts *parts, char *bytes, int64_t now_s, int64_t leeway_s, struct jwt *jwt_r,
                            const char **why_r)
{
    struct json_span claims[CLAIM_COUNT];
    struct jwt jwt = {0};
    if (!read_part(parts->body, parts->body_len, bytes, claim_names, CLAIM_COUNT, claims) ||
        !take_str(&claims[CLAIM_SUB], &jwt.user) || !take_str(&claims[CLAIM_DEV], &jwt.device)) {
        *why_r = "malformed claims";
        jwt_release(&jwt);
        return ERR_INVALID;
    }
    enum err err = check_times(claims, now_s, leeway_s, &jwt, why_r);
    if (err == ERR_OK && !jwt.user) {
        *why_r = "no user (sub)";
        err = ERR_REFUSED;
    }
    if (err != ERR_OK) {
        jwt_release(&jwt);
        return err;
    }
    jwt.attrs = take_json(&claims[CLAIM_ATTRS], JSON_OBJECT);
    jwt.caps = take_json(&claims[CLAIM_CAPS], JSON_ARRAY);
    *jwt_r = jwt;
    return ERR_OK;
}

enum err jwt_verify(const struct jwt_key *key, const char *token, size_t len, int64_t now_s, int64_t leeway_s,
                    struct jwt *jwt_r, const char **why_r)
{
    struct parts parts;
    if (!split(token, len, &parts)) {
        *why_r = "not a token";
        return ERR_INVALID;
    }
    char *bytes = xmalloc(len); /* one part after the other */
    enum err err = check_head(key, &parts, bytes, why_r);
    if (err == ERR_OK)
        err = check_signature(key, &parts, bytes, why_r);
    if (err == ERR_OK)
        err = read_claims(&parts, bytes, now_s, leeway_s, jwt_r, why_r);
    free(bytes);
    return err;
}

void jwt_release(struct jwt *jwt)
{
    free(jwt->user);
    free(jwt->device);
    free(jwt->attrs);
    free(jwt->caps);
    *jwt = (struct jwt){0};
}
