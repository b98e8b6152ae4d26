#include "gateway/auth/jwt_key.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/check.h"

enum { HMAC_BLOCK = 64 /* of SHA-256: RFC 2104 */ };

struct jwt_key {
    enum jwt_alg alg;
    EVP_MD *sha256;
    EVP_MD_CTX *digest;        /* work space of every check */
    EVP_MD_CTX *inner, *outer; /* HS256: SHA-256 that has taken the padded secret already */
    EVP_PKEY *public;          /* the others */
    EVP_PKEY_CTX *verifier;    /* RS256, ES256 */
};

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

/* SHA-256 of one block, the secret with that pad; more is to follow. */
static EVP_MD_CTX *begin_hmac(const struct jwt_key *key, const unsigned char secret[HMAC_BLOCK], unsigned char pad)
{
    unsigned char block[HMAC_BLOCK];
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = secret[i] ^ pad;
    CHECK(digest && EVP_DigestInit_ex2(digest, key->sha256, NULL) == 1 &&
          EVP_DigestUpdate(digest, block, sizeof block) == 1);
    OPENSSL_cleanse(block, sizeof block);
    return digest;
}

static void take_secret(struct jwt_key *key, const char *bytes, size_t len)
{
    unsigned char secret[HMAC_BLOCK] = {0};
    if (len <= sizeof secret)
        memcpy(secret, bytes, len);
    else
        CHECK(EVP_Digest(bytes, len, secret, NULL, key->sha256, NULL) == 1);
    key->inner = begin_hmac(key, secret, 0x36);
    key->outer = begin_hmac(key, secret, 0x5C);
    OPENSSL_cleanse(secret, sizeof secret);
}

static const char *take_public(struct jwt_key *key, const char *bytes, size_t len)
{
    key->public = len < 65536 ? read_pem(bytes, len) : NULL;
    if (!key->public)
        return "not a PEM public key";
    if (!is_key_fit(key->alg, key->public))
        return "the key is not of the kind that the algorithm needs (RSA >= 2048 bits, P-256 or Ed25519)";
    if (key->alg == JWT_EDDSA)
        return NULL;
    key->verifier = EVP_PKEY_CTX_new(key->public, NULL);
    CHECK(key->verifier && EVP_PKEY_verify_init(key->verifier) == 1 &&
          EVP_PKEY_CTX_set_signature_md(key->verifier, key->sha256) == 1);
    return NULL;
}

enum err jwt_key_new(enum jwt_alg alg, const char *bytes, size_t len, struct jwt_key **key_r, const char **why_r)
{
    const char *why = NULL;
    struct jwt_key *key = xcalloc(1, sizeof *key);
    key->alg = alg;
    key->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    key->digest = EVP_MD_CTX_new();
    CHECK(key->sha256 && key->digest);
    if (alg != JWT_HS256)
        why = take_public(key, bytes, len);
    else if (len == 0)
        why = "the secret is empty";
    else
        take_secret(key, bytes, len);
    if (why) {
        jwt_key_free(&key);
        *why_r = why;
        return ERR_INVALID;
    }
    *key_r = key;
    return ERR_OK;
}

void jwt_key_free(struct jwt_key **key)
{
    if (!*key)
        return;
    EVP_MD_CTX_free((*key)->inner); /* OpenSSL wipes them */
    EVP_MD_CTX_free((*key)->outer);
    EVP_MD_CTX_free((*key)->digest);
    EVP_MD_free((*key)->sha256);
    EVP_PKEY_CTX_free((*key)->verifier);
    EVP_PKEY_free((*key)->public);
    free(*key);
    *key = NULL;
}

enum jwt_alg jwt_key_alg(const struct jwt_key *key)
{
    return key->alg;
}

/* --- signatures ------------------------------------------------------------------------------------------------------
 */

/* What `begun` has taken, then these bytes. */
static bool finish_digest(EVP_MD_CTX *digest, const EVP_MD_CTX *begun, const void *bytes, size_t len,
                          unsigned char out[SHA256_DIGEST_LENGTH])
{
    return EVP_MD_CTX_copy_ex(digest, begun) == 1 && EVP_DigestUpdate(digest, bytes, len) == 1 &&
           EVP_DigestFinal_ex(digest, out, NULL) == 1;
}

static bool is_hmac_right(const struct jwt_key *key, const char *text, size_t len, const unsigned char *sig,
                          size_t sig_len)
{
    unsigned char mac[SHA256_DIGEST_LENGTH];
    return finish_digest(key->digest, key->inner, text, len, mac) &&
           finish_digest(key->digest, key->outer, mac, sizeof mac, mac) && sig_len == sizeof mac &&
           CRYPTO_memcmp(sig, mac, sizeof mac) == 0;
}

/* Of the SHA-256 of the text. */
static bool is_verified(const struct jwt_key *key, const char *text, size_t len, const unsigned char *sig,
                        size_t sig_len)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    bool is_right = EVP_DigestInit_ex2(key->digest, key->sha256, NULL) == 1 &&
                    EVP_DigestUpdate(key->digest, text, len) == 1 && EVP_DigestFinal_ex(key->digest, hash, NULL) == 1 &&
                    EVP_PKEY_verify(key->verifier, sig, sig_len, hash, sizeof hash) == 1;
    ERR_clear_error();
    return is_right;
}

/* JWS has the bare r and s, 32 bytes each; OpenSSL wants them in DER. */
static bool is_ecdsa_right(const struct jwt_key *key, const char *text, size_t len, const unsigned char *sig,
                           size_t sig_len)
{
    if (sig_len != 64)
        return false;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, 32, NULL), *s = BN_bin2bn(sig + 32, 32, NULL);
    CHECK(pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1);
    unsigned char *der = NULL;
    int der_len = i2d_ECDSA_SIG(pair, &der);
    bool is_right = der_len > 0 && is_verified(key, text, len, der, (size_t)der_len);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return is_right;
}

static bool is_eddsa_right(const struct jwt_key *key, const char *text, size_t len, const unsigned char *sig,
                           size_t sig_len)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    CHECK(digest != NULL);
    bool is_right = EVP_DigestVerifyInit(digest, NULL, NULL, NULL, key->public) == 1 &&
                    EVP_DigestVerify(digest, sig, sig_len, (const unsigned char *)text, len) == 1;
    EVP_MD_CTX_free(digest);
    ERR_clear_error();
    return is_right;
}

bool jwt_key_check(const struct jwt_key *key, const char *text, size_t len, const unsigned char *sig, size_t sig_len)
{
    switch (key->alg) {
    case JWT_HS256:
        return is_hmac_right(key, text, len, sig, sig_len);
    case JWT_RS256:
        return is_verified(key, text, len, sig, sig_len);
    case JWT_ES256:
        return is_ecdsa_right(key, text, len, sig, sig_len);
    case JWT_EDDSA:
        return is_eddsa_right(key, text, len, sig, sig_len);
    }
    return false;
}
