#include "jwt_sign.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "check.h"

/* base64url without padding, RFC 7515 section 2 */
static void add_base64url(struct buf *out, const unsigned char *bytes, size_t len)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t bits = (uint32_t)bytes[i] << 16;
        if (left > 1)
            bits |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2)
            bits |= bytes[i + 2];
        buf_add_char(out, alphabet[bits >> 18]);
        buf_add_char(out, alphabet[bits >> 12 & 63]);
        if (left > 1)
            buf_add_char(out, alphabet[bits >> 6 & 63]);
        if (left > 2)
            buf_add_char(out, alphabet[bits & 63]);
    }
}

static char *payload_text(const struct jwt_claims *claims)
{
    json_t *payload = json_pack("{s:s, s:I, s:I}", "sub", claims->user, "iat", (json_int_t)claims->issued_s, "exp",
                                (json_int_t)claims->expires_s);
    if (!payload)
        return NULL;
    char *text = NULL;
    if (!claims->device || !*claims->device || json_object_set_new(payload, "dev", json_string(claims->device)) == 0)
        text = json_dumps(payload, JSON_COMPACT);
    json_decref(payload);
    return text;
}

char *jwt_sign_hs256(const struct jwt_claims *claims, const void *secret, size_t secret_len)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    char *payload = payload_text(claims);
    if (!payload)
        return NULL;
    struct buf token;
    buf_init(&token);
    add_base64url(&token, (const unsigned char *)header, sizeof(header) - 1);
    buf_add_char(&token, '.');
    add_base64url(&token, (const unsigned char *)payload, strlen(payload));
    free(payload);

    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    CHECK(HMAC(EVP_sha256(), secret, (int)secret_len, (const unsigned char *)token.bytes, token.len, mac, &mac_len));
    buf_add_char(&token, '.');
    add_base64url(&token, mac, mac_len);
    char *text = xstrndup(token.bytes, token.len);
    buf_release(&token);
    return text;
}
