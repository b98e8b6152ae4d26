#include "bench/handshake_tokens.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "common/jwt_sign.h"

enum { TOKEN_TTL_S = 86400, SIGNATURE_MAX = 512, TEXT_MAX = 1024 };

struct signer {
    const char *algorithm;
    EVP_PKEY *key; /* NULL: HS256 */
};

static EVP_PKEY *make_key(const char *algorithm)
{
    if (strcmp(algorithm, "RS256") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    if (strcmp(algorithm, "ES256") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    CHECK(strcmp(algorithm, "EdDSA") == 0);
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

struct signer *signer_new(const char *algorithm, const char *key_file)
{
    struct signer *signer = xcalloc(1, sizeof(*signer));
    signer->algorithm = algorithm;
    if (strcmp(algorithm, "HS256") == 0)
        return signer;
    signer->key = make_key(algorithm);
    FILE *file = fopen(key_file, "we");
    CHECK(signer->key && file && PEM_write_PUBKEY(file, signer->key) == 1);
    fclose(file);
    return signer;
}

static size_t base64url(char *out, const unsigned char *bytes, size_t len)
{
    size_t size = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
    while (size > 0 && out[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    out[size] = '\0';
    return size;
}

/* JWS has the bare r and s, 32 bytes each. */
static size_t bare_ecdsa(unsigned char *signature, size_t len)
{
    const unsigned char *at = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)len);
    CHECK(pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32) == 32 &&
          BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32) == 32);
    ECDSA_SIG_free(pair);
    return 64;
}

static size_t sign(const struct signer *signer, const char *text, size_t len, unsigned char *signature)
{
    size_t signature_len = SIGNATURE_MAX;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    const EVP_MD *md = strcmp(signer->algorithm, "EdDSA") == 0 ? NULL : EVP_sha256();
    CHECK(digest && EVP_DigestSignInit(digest, NULL, md, NULL, signer->key) == 1 &&
          EVP_DigestSign(digest, signature, &signature_len, (const unsigned char *)text, len) == 1);
    EVP_MD_CTX_free(digest);
    return strcmp(signer->algorithm, "ES256") == 0 ? bare_ecdsa(signature, signature_len) : signature_len;
}

char *signer_token(const struct signer *signer, const char *user)
{
    uint64_t now_s = (uint64_t)time(NULL);
    if (!signer->key)
        return jwt_sign_hs256(&(struct jwt_claims){.user = user, .issued_s = now_s, .expires_s = now_s + TOKEN_TTL_S},
                              JWT_DEV_SECRET, strlen(JWT_DEV_SECRET));
    char part[256], text[TEXT_MAX];
    unsigned char signature[SIGNATURE_MAX];
    int part_len = snprintf(part, sizeof(part), "{\"alg\":\"%s\",\"typ\":\"JWT\"}", signer->algorithm);
    size_t len = base64url(text, (const unsigned char *)part, (size_t)part_len);
    text[len++] = '.';
    part_len = snprintf(part, sizeof(part), "{\"sub\":\"%s\",\"iat\":%lu,\"exp\":%lu}", user, (unsigned long)now_s,
                        (unsigned long)(now_s + TOKEN_TTL_S));
    len += base64url(text + len, (const unsigned char *)part, (size_t)part_len);
    size_t signature_len = sign(signer, text, len, signature);
    text[len++] = '.';
    (void)base64url(text + len, signature, signature_len);
    return xstrdup(text);
}

void signer_free(struct signer **signer)
{
    EVP_PKEY_free((*signer)->key);
    free(*signer);
    *signer = NULL;
}
