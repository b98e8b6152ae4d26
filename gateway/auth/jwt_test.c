#include "gateway/auth/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "gateway/auth/auth.h"

#define SECRET "a secret of more than thirty-two bytes"
enum { NOW = 1700000000 };

static struct {
    EVP_PKEY *pair;
    char *pem; /* public */
    size_t pem_len;
    const char *name;
} keys[] = {[JWT_RS256] = {.name = "RS256"}, [JWT_ES256] = {.name = "ES256"}, [JWT_EDDSA] = {.name = "EdDSA"}};

static int make_keys(void **state)
{
    (void)state;
    keys[JWT_RS256].pair = EVP_RSA_gen(2048);
    keys[JWT_ES256].pair = EVP_EC_gen("P-256");
    keys[JWT_EDDSA].pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    for (int alg = JWT_RS256; alg <= JWT_EDDSA; alg++) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *text;
        assert_int_equal(PEM_write_bio_PUBKEY(bio, keys[alg].pair), 1);
        long len = BIO_get_mem_data(bio, &text);
        keys[alg].pem = xstrndup(text, (size_t)len);
        keys[alg].pem_len = (size_t)len;
        BIO_free(bio);
    }
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    for (int alg = JWT_RS256; alg <= JWT_EDDSA; alg++) {
        EVP_PKEY_free(keys[alg].pair);
        free(keys[alg].pem);
    }
    return 0;
}

/* --- making tokens, independently of the code under test -------------------------------------------------------------
 */

static void base64url(const void *bytes, size_t len, char *out)
{
    EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
    for (char *at = out; *at; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    out[strcspn(out, "=")] = '\0';
}

static size_t sign(enum jwt_alg alg, const char *text, unsigned char *sig)
{
    size_t len = 512;
    if (alg == JWT_HS256) {
        unsigned mac_len;
        HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), (const unsigned char *)text, strlen(text), sig, &mac_len);
        return mac_len;
    }
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(digest, NULL, alg == JWT_EDDSA ? NULL : EVP_sha256(), NULL, keys[alg].pair), 1);
    assert_int_equal(EVP_DigestSign(digest, sig, &len, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(digest);
    if (alg != JWT_ES256)
        return len;
    const unsigned char *der = sig;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig + 32, 32), 32);
    ECDSA_SIG_free(pair);
    return 64;
}

/* In a static buffer. */
static const char *token(enum jwt_alg alg, const char *head, const char *body)
{
    static char text[4096];
    unsigned char sig[512];
    base64url(head, strlen(head), text);
    strncat(text, ".", 2);
    base64url(body, strlen(body), text + strlen(text));
    size_t len = sign(alg, text, sig);
    strncat(text, ".", 2);
    base64url(sig, len, text + strlen(text));
    return text;
}

static const char *head_of(enum jwt_alg alg)
{
    static char head[64];
    snprintf(head, sizeof head, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", alg == JWT_HS256 ? "HS256" : keys[alg].name);
    return head;
}

static struct jwt_key *key_of(enum jwt_alg alg)
{
    struct jwt_key *key = NULL;
    const char *why = NULL;
    const char *bytes = alg == JWT_HS256 ? SECRET : keys[alg].pem;
    assert_int_equal(jwt_key_new(alg, bytes, strlen(bytes), &key, &why), ERR_OK);
    return key;
}

/* With a key of that algorithm, at NOW, 30 s of leeway. */
static enum err verify(enum jwt_alg alg, const char *text)
{
    struct jwt_key *key = key_of(alg);
    struct jwt jwt;
    const char *why = NULL;
    enum err err = jwt_verify(key, text, strlen(text), NOW, 30, &jwt, &why);
    assert_true((err == ERR_OK) == (why == NULL));
    if (err == ERR_OK)
        jwt_release(&jwt);
    jwt_key_free(&key);
    return err;
}

#define BODY "{\"sub\":\"42\",\"exp\":1700000100}"

/* --- tests -----------------------------------------------------------------------------------------------------------
 */

static void every_algorithm(void **state)
{
    (void)state;
    for (int alg = JWT_HS256; alg <= JWT_EDDSA; alg++) {
        char *good = xstrdup(token((enum jwt_alg)alg, head_of((enum jwt_alg)alg), BODY));
        assert_int_equal(verify((enum jwt_alg)alg, good), ERR_OK);
        char *sig = strrchr(good, '.') + 1;
        sig[5] = sig[5] == 'A' ? 'B' : 'A';
        assert_int_equal(verify((enum jwt_alg)alg, good), ERR_INVALID);
        free(good);
    }
}

static void claims(void **state)
{
    struct jwt_key *key = key_of(JWT_HS256);
    struct jwt jwt;
    const char *why;
    const char *text = token(JWT_HS256, head_of(JWT_HS256),
                             "{\"sub\":\"\\u00e9-42\",\"dev\":\"web\",\"exp\":1700000100,\"attrs\":{\"vip\":\"1\"},"
                             "\"caps\":[\"message\"]}");
    (void)state;
    assert_int_equal(jwt_verify(key, text, strlen(text), NOW, 0, &jwt, &why), ERR_OK);
    assert_string_equal(jwt.user, "\xc3\xa9-42");
    assert_string_equal(jwt.device, "web");
    assert_string_equal(jwt.attrs, "{\"vip\":\"1\"}");
    assert_string_equal(jwt.caps, "[\"message\"]");
    assert_true(jwt.has_expiry);
    assert_int_equal(jwt.expires_s, 1700000100);
    jwt_release(&jwt);
    jwt_key_free(&key);
}

/* The classic: an HMAC made with the public key, which everybody has, in place of a signature. */
static void algorithm_confusion(void **state)
{
    (void)state;
    struct jwt_key *key = key_of(JWT_RS256);
    struct jwt jwt;
    const char *why;
    char text[4096];
    unsigned char mac[32];
    unsigned mac_len;
    base64url("{\"alg\":\"HS256\"}", 15, text);
    strncat(text, ".", 2);
    base64url(BODY, strlen(BODY), text + strlen(text));
    HMAC(EVP_sha256(), keys[JWT_RS256].pem, (int)keys[JWT_RS256].pem_len, (unsigned char *)text, strlen(text), mac,
         &mac_len);
    strncat(text, ".", 2);
    base64url(mac, mac_len, text + strlen(text));
    assert_int_equal(jwt_verify(key, text, strlen(text), NOW, 0, &jwt, &why), ERR_REFUSED);
    jwt_key_free(&key);
    for (int alg = JWT_HS256; alg <= JWT_EDDSA; alg++)
        for (int other = JWT_HS256; other <= JWT_EDDSA; other++)
            if (alg != other) {
                assert_int_equal(
                    verify((enum jwt_alg)alg, token((enum jwt_alg)other, head_of((enum jwt_alg)other), BODY)),
                    ERR_REFUSED);
                /* and with a header that lies */
                assert_int_equal(
                    verify((enum jwt_alg)alg, token((enum jwt_alg)other, head_of((enum jwt_alg)alg), BODY)),
                    ERR_INVALID);
            }
}

static void none_is_refused(void **state)
{
    static const char *const names[] = {"none", "None", "NONE", "", "hs256"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char head[64];
        snprintf(head, sizeof head, "{\"alg\":\"%s\"}", names[i]);
        assert_int_equal(verify(JWT_HS256, token(JWT_HS256, head, BODY)), ERR_REFUSED);
    }
    assert_int_equal(verify(JWT_HS256, token(JWT_HS256, "{}", BODY)), ERR_REFUSED);
    assert_int_equal(verify(JWT_HS256, token(JWT_HS256, "{\"alg\":[\"HS256\"]}", BODY)), ERR_REFUSED);
    assert_int_equal(verify(JWT_HS256, token(JWT_HS256, "{\"alg\":\"HS256\",\"crit\":[\"x\"]}", BODY)), ERR_REFUSED);
    char *unsigned_token = xstrdup(token(JWT_HS256, head_of(JWT_HS256), BODY));
    strrchr(unsigned_token, '.')[1] = '\0';
    assert_int_equal(verify(JWT_HS256, unsigned_token), ERR_INVALID);
    free(unsigned_token);
}

static enum err at(int64_t now_s, int64_t leeway_s, const char *body)
{
    struct jwt_key *key = key_of(JWT_HS256);
    struct jwt jwt;
    const char *why;
    const char *text = token(JWT_HS256, head_of(JWT_HS256), body);
    enum err err = jwt_verify(key, text, strlen(text), now_s, leeway_s, &jwt, &why);
    if (err == ERR_OK)
        jwt_release(&jwt);
    jwt_key_free(&key);
    return err;
}

static void times_and_leeway(void **state)
{
    static const char exp[] = "{\"sub\":\"42\",\"exp\":1000}", nbf[] = "{\"sub\":\"42\",\"nbf\":1000}";
    (void)state;
    assert_int_equal(at(999, 0, exp), ERR_OK);
    assert_int_equal(at(1000, 0, exp), ERR_EXPIRED);
    assert_int_equal(at(1029, 30, exp), ERR_OK);
    assert_int_equal(at(1030, 30, exp), ERR_EXPIRED);
    assert_int_equal(at(999, 0, nbf), ERR_REFUSED);
    assert_int_equal(at(1000, 0, nbf), ERR_OK);
    assert_int_equal(at(970, 30, nbf), ERR_OK);
    assert_int_equal(at(969, 30, nbf), ERR_REFUSED);
    assert_int_equal(at(1000, 0, "{\"sub\":\"42\",\"exp\":1000.9}"), ERR_EXPIRED);
    assert_int_equal(at(1000, 0, "{\"sub\":\"42\",\"exp\":\"2000\"}"), ERR_INVALID);
    assert_int_equal(at(1000, 0, "{\"sub\":\"42\",\"exp\":null}"), ERR_INVALID);
    assert_int_equal(at(1000, 0, "{\"sub\":\"42\",\"exp\":1e300}"), ERR_INVALID);
}

static void tampered(void **state)
{
    (void)state;
    char *good = xstrdup(token(JWT_HS256, head_of(JWT_HS256), BODY));
    size_t len = strlen(good);
    assert_int_equal(verify(JWT_HS256, good), ERR_OK);
    for (size_t i = 0; i < len; i++) { /* any other character anywhere, and it is not this token any more */
        char was = good[i];
        good[i] = was == 'x' ? 'y' : 'x';
        assert_int_not_equal(verify(JWT_HS256, good), ERR_OK);
        good[i] = was;
    }
    for (size_t cut = 0; cut < len; cut++) {
        char was = good[cut];
        good[cut] = '\0';
        assert_int_not_equal(verify(JWT_HS256, good), ERR_OK);
        good[cut] = was;
    }
    free(good);
}

/* What a key keeps between two checks is not changed by either. */
static void one_key_for_many(void **state)
{
    (void)state;
    for (int alg = JWT_HS256; alg <= JWT_EDDSA; alg++) {
        struct jwt_key *key = key_of((enum jwt_alg)alg);
        for (int round = 0; round < 3; round++) {
            struct jwt jwt;
            const char *why;
            char *text = xstrdup(token((enum jwt_alg)alg, head_of((enum jwt_alg)alg), BODY));
            assert_int_equal(jwt_verify(key, text, strlen(text), NOW, 30, &jwt, &why), ERR_OK);
            jwt_release(&jwt);
            text[strlen(text) / 2] ^= 1;
            assert_int_not_equal(jwt_verify(key, text, strlen(text), NOW, 30, &jwt, &why), ERR_OK);
            free(text);
        }
        jwt_key_free(&key);
    }
}

/* RFC 4231 case 6: a secret longer than SHA-256's block is hashed first. */
static void long_secret(void **state)
{
    static const unsigned char mac[] = {0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26,
                                        0xaa, 0xcb, 0xf5, 0xb7, 0x7f, 0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28,
                                        0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54};
    static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    char secret[131];
    struct jwt_key *key = NULL;
    const char *why;
    (void)state;
    memset(secret, 0xAA, sizeof secret);
    assert_int_equal(jwt_key_new(JWT_HS256, secret, sizeof secret, &key, &why), ERR_OK);
    assert_true(jwt_key_check(key, text, strlen(text), mac, sizeof mac));
    assert_false(jwt_key_check(key, text, strlen(text) - 1, mac, sizeof mac));
    assert_false(jwt_key_check(key, text, strlen(text), mac, sizeof mac - 1));
    jwt_key_free(&key);
}

static void malformed(void **state)
{
    static const char *const texts[] = {"",        ".",           "..",           "...",     "a.b",
                                        "a.b.c.d", "e30.e30.e30", "e30=.e30.e30", "\n.\n.\n"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_not_equal(verify(JWT_HS256, texts[i]), ERR_OK);
    static const char *const bodies[] = {"", "[]", "1", "{\"sub\":\"1\",\"sub\":\"2\"}", "{\"sub\":\"a\\u0000b\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_int_not_equal(verify(JWT_HS256, token(JWT_HS256, head_of(JWT_HS256), bodies[i])), ERR_OK);
    assert_int_equal(at(1, 0, "{\"exp\":5}"), ERR_REFUSED); /* no user */
    assert_int_equal(at(1, 0, "{\"sub\":42,\"exp\":5}"), ERR_REFUSED);
}

static void unfit_keys(void **state)
{
    struct jwt_key *key = NULL;
    const char *why = NULL;
    (void)state;
    for (int alg = JWT_RS256; alg <= JWT_EDDSA; alg++)
        for (int other = JWT_RS256; other <= JWT_EDDSA; other++)
            if (alg != other)
                assert_int_equal(jwt_key_new((enum jwt_alg)alg, keys[other].pem, keys[other].pem_len, &key, &why),
                                 ERR_INVALID);
    assert_int_equal(jwt_key_new(JWT_RS256, "nonsense", 8, &key, &why), ERR_INVALID);
    assert_int_equal(jwt_key_new(JWT_HS256, "", 0, &key, &why), ERR_INVALID);
    assert_non_null(why);
}

/* --- what auth.c makes of it -----------------------------------------------------------------------------------------
 */

static struct auth_settings settings = {
    .mode = AUTH_JWT,
    .algorithm = JWT_HS256,
    .secret = (char *)SECRET,
    .key_file = (char *)"",
    .leeway_ms = 30000,
    .token_max = 1024,
    .is_expiry_needed = true,
    .device_default = (char *)"default",
};

static enum err decide(int mode, const char *user, const char *device, const char *text, struct identity *identity_r)
{
    struct auth *auth = NULL;
    const char *why;
    settings.mode = mode;
    assert_int_equal(auth_new(&settings, &auth), ERR_OK);
    struct auth_claim claim = {
        user, device, text, user ? strlen(user) : 0, device ? strlen(device) : 0, text ? strlen(text) : 0};
    enum err err = auth_check(auth, &claim, (uint64_t)NOW * 1000, identity_r, &why);
    auth_free(&auth);
    return err;
}

static void users_and_devices(void **state)
{
    struct identity id;
    (void)state;
    char *plain = xstrdup(token(JWT_HS256, head_of(JWT_HS256), BODY));
    char *bound = xstrdup(token(JWT_HS256, head_of(JWT_HS256), "{\"sub\":\"42\",\"dev\":\"tv\",\"exp\":1700000100}"));
    assert_int_equal(decide(AUTH_JWT, NULL, NULL, plain, &id), ERR_OK);
    assert_string_equal(id.user, "42");
    assert_string_equal(id.device, "default");
    assert_int_equal(decide(AUTH_JWT, "42", "web", plain, &id), ERR_OK);
    assert_string_equal(id.device, "web");
    assert_int_equal(decide(AUTH_JWT, "43", "web", plain, &id), ERR_REFUSED); /* another's token */
    assert_int_equal(decide(AUTH_JWT, "4", NULL, plain, &id), ERR_REFUSED);
    assert_int_equal(decide(AUTH_JWT, "", NULL, plain, &id), ERR_REFUSED);
    assert_int_equal(decide(AUTH_JWT, "42", NULL, bound, &id), ERR_OK);
    assert_string_equal(id.device, "tv");
    assert_int_equal(decide(AUTH_JWT, "42", "web", bound, &id), ERR_REFUSED);
    assert_int_equal(decide(AUTH_JWT, "42", NULL, NULL, &id), ERR_INVALID);
    assert_int_equal(decide(AUTH_JWT, "42", NULL, token(JWT_HS256, head_of(JWT_HS256), "{\"sub\":\"42\"}"), &id),
                     ERR_REFUSED); /* would never expire */
    free(plain);
    free(bound);
}

static void limits(void **state)
{
    struct identity id;
    char longest[USER_LEN_MAX + 2], text[1100];
    (void)state;
    memset(longest, 'u', sizeof longest);
    longest[USER_LEN_MAX] = '\0';
    assert_int_equal(decide(AUTH_NONE, longest, NULL, NULL, &id), ERR_OK);
    assert_string_equal(id.user, longest);
    longest[USER_LEN_MAX] = 'u';
    longest[USER_LEN_MAX + 1] = '\0';
    assert_int_equal(decide(AUTH_NONE, longest, NULL, NULL, &id), ERR_REFUSED);
    static const char *const users[] = {"", "a{b}", "}", "a\nb", "a\x7f", "\xc2\x85", "\xff", "\xc3", "\xed\xa0\x80"};
    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++)
        assert_int_equal(decide(AUTH_NONE, users[i], NULL, NULL, &id), ERR_REFUSED);
    assert_int_equal(decide(AUTH_NONE, "ok \xf0\x9f\x98\x80", "{a}", NULL, &id), ERR_OK);
    longest[DEVICE_LEN_MAX + 1] = '\0';
    assert_int_equal(decide(AUTH_NONE, "42", longest, NULL, &id), ERR_REFUSED);
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(decide(AUTH_JWT, "42", NULL, text, &id), ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm), cmocka_unit_test(claims),           cmocka_unit_test(algorithm_confusion),
        cmocka_unit_test(none_is_refused), cmocka_unit_test(times_and_leeway), cmocka_unit_test(tampered),
        cmocka_unit_test(malformed),       cmocka_unit_test(unfit_keys),       cmocka_unit_test(users_and_devices),
        cmocka_unit_test(limits),          cmocka_unit_test(one_key_for_many), cmocka_unit_test(long_secret),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
