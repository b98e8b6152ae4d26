#include "gateway/ws/accept_key.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#include "common/check.h"

enum { KEY_LEN = 24 };

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

bool accept_key_is_valid(const char *key)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return strspn(key, alphabet) == KEY_LEN - 2 && memcmp(key + KEY_LEN - 2, "==", 3) == 0;
}

void accept_key(const char *key, char accept_r[ACCEPT_KEY_LEN + 1])
{
    unsigned char text[KEY_LEN + sizeof(guid) - 1];
    memcpy(text, key, KEY_LEN);
    memcpy(text + KEY_LEN, guid, sizeof(guid) - 1);
    unsigned char digest[SHA_DIGEST_LENGTH];
    CHECK(SHA1(text, sizeof(text), digest));
    CHECK(EVP_EncodeBlock((unsigned char *)accept_r, digest, sizeof(digest)) == ACCEPT_KEY_LEN);
}
