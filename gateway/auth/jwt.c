#include "gateway/auth/jwt.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "gateway/auth/base64url.h"

struct jwt_key {
    enum jwt_alg alg;
    unsigned char *secret; /* HS256 */
    size_t secret_len;
    EVP_PKEY *public; /* the others */
};

static const char *const alg_names[] = {"HS256", "RS256", "ES256", "EdDSA"};

/* --- keys ------------------------------------------------------------------------------------------------------------
 */

static bool is_key_fit(enum jwt_alg alg, EVP_PKEY *key)
{
    char group[32] = "";
    switch (alg) {
    case JWT_RS256:
        return EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= 2048;
    case JWT_ES256:
        return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
               strcmp(group, "prime256v1") == 0;
    case JWT_EDDSA:
        return EVP_PKEY_is_a(key, "ED25519");
    case JWT_HS256:
        break;
    }
    return false;
}

static EVP_PKEY *read_pem(const char *bytes, size_t len)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)len);
    CHECK(bio != NULL);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

enum err jwt_key_new(enum jwt_alg alg, const char *bytes, size_t len, struct jwt_key **key_r, const char **why_r)
{
    struct jwt_key key = {.alg = alg};
    if (alg == JWT_HS256) {
        if (len == 0) {
            *why_r = "the secret is empty";
            return ERR_INVALID;
        }
        key.secret = (unsigned char *)xstrndup(bytes, len);
        key.secret_len = len;
    } else {
        key.public = len < 65536 ? read_pem(bytes, len) : NULL;
        if (!key.public) {
            *why_r = "not a PEM public key";
            return ERR_INVALID;
        }
        if (!is_key_fit(alg, key.public)) {
            EVP_PKEY_free(key.public);
            *why_r = "the key is not of the kind that the algorithm needs (RSA >= 2048 bits, P-256 or Ed25519)";
            return ERR_INVALID;
        }
    }
    *key_r = xmalloc(sizeof key);
    **key_r = key;
    return ERR_OK;
}

void jwt_key_free(struct jwt_key **key)
{
    if (!*key)
        return;
    if ((*key)->secret) {
        OPENSSL_cleanse((*key)->secret, (*key)->secret_len);
        free((*key)->secret);
    }
    EVP_PKEY_free((*key)->public);
    free(*key);
    *key = NULL;
}

/* --- signatures ------------------------------------------------------------------------------------------------------
 */

static bool is_hmac_right(const struct jwt_key *key, const char *text, size_t len, const unsigned char *sig,
                          size_t sig_len)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    if (!HMAC(EVP_sha256(), key->secret, (int)key->secret_len, (const unsigned char *)text, len, mac, &mac_len))
        return false;
    return sig_len == mac_len && CRYPTO_memcmp(sig, mac, mac_len) == 0;
}

static bool is_digest_right(EVP_PKEY *key, const EVP_MD *md, const char *text, size_t len, const unsigned char *sig,
                            size_t sig_len)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    CHECK(digest != NULL);
    bool is_right = EVP_DigestVerifyInit(digest, NULL, md, NULL, key) == 1 &&
                    EVP_DigestVerify(digest, sig, sig_len, (const unsigned char *)text, len) == 1;
    EVP_MD_CTX_free(digest);
    ERR_clear_error();
    return is_right;
}

/* JWS has the bare r and s, 32 bytes each; OpenSSL wants them in DER. */
static bool is_ecdsa_right(EVP_PKEY *key, const char *text, size_t len, const unsigned char *sig, size_t sig_len)
{
    if (sig_len != 64)
        return false;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, 32, NULL), *s = BN_bin2bn(sig + 32, 32, NULL);
    CHECK(pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1);
    unsigned char *der = NULL;
    int der_len = i2d_ECDSA_SIG(pair, &der);
    bool is_right = der_len > 0 && is_digest_right(key, EVP_sha256(), text, len, der, (size_t)der_len);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return is_right;
}

static bool is_signature_right(const struct jwt_key *key, const char *text, size_t len, const unsigned char *sig,
                               size_t sig_len)
{
    switch (key->alg) {
    case JWT_HS256:
        return is_hmac_right(key, text, len, sig, sig_len);
    case JWT_RS256:
        return is_digest_right(key->public, EVP_sha256(), text, len, sig, sig_len);
    case JWT_ES256:
        return is_ecdsa_right(key->public, text, len, sig, sig_len);
    case JWT_EDDSA:
        return is_digest_right(key->public, NULL, text, len, sig, sig_len);
    }
    return false;
}

/* --- token -----------------------------------------------------------------------------------------------------------
 */

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

static json_t *decode_json(const char *text, size_t len)
{
    unsigned char *bytes = xmalloc(len + 1);
    size_t bytes_len = 0;
    json_t *json = NULL;
    if (base64url_decode(text, len, bytes, &bytes_len) == ERR_OK)
        json = json_loadb((const char *)bytes, bytes_len, JSON_REJECT_DUPLICATES, NULL);
    free(bytes);
    if (json && !json_is_object(json)) {
        json_decref(json);
        json = NULL;
    }
    return json;
}

static enum err check_head(const struct jwt_key *key, const struct parts *parts, const char **why_r)
{
    json_t *head = decode_json(parts->head, parts->head_len);
    if (!head) {
        *why_r = "malformed header";
        return ERR_INVALID;
    }
    const char *alg = json_string_value(json_object_get(head, "alg"));
    bool is_right = alg && strcmp(alg, alg_names[key->alg]) == 0;
    bool has_crit = json_object_get(head, "crit") != NULL;
    json_decref(head);
    if (is_right && !has_crit)
        return ERR_OK;
    *why_r = is_right ? "critical extensions are not supported" : "another algorithm than the configured one";
    return ERR_REFUSED;
}

static enum err check_signature(const struct jwt_key *key, const struct parts *parts, const char **why_r)
{
    unsigned char *sig = xmalloc(parts->sig_len);
    size_t sig_len = 0, signed_len = parts->head_len + 1 + parts->body_len;
    bool is_right = base64url_decode(parts->sig, parts->sig_len, sig, &sig_len) == ERR_OK &&
                    is_signature_right(key, parts->head, signed_len, sig, sig_len);
    free(sig);
    *why_r = is_right ? NULL : "wrong signature";
    return is_right ? ERR_OK : ERR_INVALID;
}

/* Absent is fine, another type is not. Beyond +-2^53 s a token's time is nonsense, and would overflow with leeway. */
static bool read_time(const json_t *claims, const char *name, bool *has_r, int64_t *time_r)
{
    const json_t *value = json_object_get(claims, name);
    *has_r = value != NULL;
    if (!value)
        return true;
    double seconds = json_is_number(value) ? json_number_value(value) : 1e300;
    if (!(seconds > -9e15 && seconds < 9e15))
        return false;
    *time_r = (int64_t)seconds;
    return true;
}

static enum err check_times(const json_t *claims, int64_t now_s, int64_t leeway_s, struct jwt *jwt, const char **why_r)
{
    bool has_start;
    int64_t start_s = 0;
    if (!read_time(claims, "exp", &jwt->has_expiry, &jwt->expires_s) ||
        !read_time(claims, "nbf", &has_start, &start_s)) {
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

static char *take_str(const json_t *claims, const char *name)
{
    const char *value = json_string_value(json_object_get(claims, name));
    return value ? xstrdup(value) : NULL;
}

static char *take_json(const json_t *claims, const char *name, json_type type)
{
    const json_t *value = json_object_get(claims, name);
    return value && json_typeof(value) == type ? json_dumps(value, JSON_COMPACT) : NULL;
}

static enum err read_claims(const struct parts *parts, int64_t now_s, int64_t leeway_s, struct jwt *jwt_r,
                            const char **why_r)
{
    json_t *claims = decode_json(parts->body, parts->body_len);
    if (!claims) {
        *why_r = "malformed claims";
        return ERR_INVALID;
    }
    struct jwt jwt = {0};
    enum err err = check_times(claims, now_s, leeway_s, &jwt, why_r);
    if (err == ERR_OK && !json_is_string(json_object_get(claims, "sub"))) {
        *why_r = "no user (sub)";
        err = ERR_REFUSED;
    }
    if (err == ERR_OK) {
        jwt.user = take_str(claims, "sub");
        jwt.device = take_str(claims, "dev");
        jwt.attrs = take_json(claims, "attrs", JSON_OBJECT);
        jwt.caps = take_json(claims, "caps", JSON_ARRAY);
        *jwt_r = jwt;
    }
    json_decref(claims);
    return err;
}

enum err jwt_verify(const struct jwt_key *key, const char *token, size_t len, int64_t now_s, int64_t leeway_s,
                    struct jwt *jwt_r, const char **why_r)
{
    struct parts parts;
    if (!split(token, len, &parts)) {
        *why_r = "not a token";
        return ERR_INVALID;
    }
    enum err err = check_head(key, &parts, why_r);
    if (err == ERR_OK)
        err = check_signature(key, &parts, why_r);
    if (err == ERR_OK)
        err = read_claims(&parts, now_s, leeway_s, jwt_r, why_r);
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
