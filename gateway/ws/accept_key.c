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

/* Made once: looking the digest up takes OpenSSL 3 longer than hashing 60 bytes. */
static EVP_MD_CTX *sha1(void)
{
    static EVP_MD_CTX *digest;
    if (!digest) {
        digest = EVP_MD_CTX_new();
        CHECK(digest && EVP_DigestInit_ex2(digest, EVP_MD_fetch(NULL, "SHA1", NULL), NULL) == 1);
    }
    return digest;
}

void accept_key(const char *key, char accept_r[ACCEPT_KEY_LEN + 1])
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    CHECK(EVP_DigestInit_ex2(sha1(), NULL, NULL) == 1 && EVP_DigestUpdate(sha1(), key, KEY_LEN) == 1 &&
          EVP_DigestUpdate(sha1(), guid, sizeof(guid) - 1) == 1 && EVP_DigestFinal_ex(sha1(), digest, NULL) == 1);
    CHECK(EVP_EncodeBlock((unsigned char *)accept_r, digest, sizeof(digest)) == ACCEPT_KEY_LEN);
}
