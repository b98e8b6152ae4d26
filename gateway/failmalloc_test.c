/* What of a gateway judges what clients and routers send, without memory: see tests/unit/failmalloc.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/memory.h"
#include "gateway/auth/jwt.h"
#include "gateway/link/fence.h"
#include "gateway/link/pending.h"
#include "gateway/session/client_message.h"
#include "gateway/session/push_frame.h"
#include "gateway/session/unacked.h"
#include "gateway/ws/accept_key.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/http_head.h"
#include "gateway/ws/ws_codec.h"
#include "tests/unit/failmalloc.h"

/* --- tokens, made by another library: sub u1, dev d1, attrs, caps, exp in the year 2096 ------------------------------
 */

static const struct {
    enum jwt_alg alg;
    const char *key, *token;
} samples[] = {
    {JWT_RS256,
     "-----BEGIN PUBLIC KEY-----\n"
     "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAn5VA3viNZgOK5pi+7SHY\n"
     "OpLZQy3zbb67uCcKwtQ+O+7z6FsBhfOSwUZ7UEauad/TV3viPW/OFAaU2QVYIdoH\n"
     "xH+PNWTiUySNHjgvTr5Q5GhfBAufQxb1Ee1h+Y1DaLtOzmaHUyr7TgthKNRwkIMT\n"
     "WrXrm1NmLPHsbgwhj6cGbvcZb16Gi7BNHuu/OO4ScwAD8hEv37r3m+skos2OuOqN\n"
     "cIpDYfJcFHHjewjHKiugJ3lDYV4t899VxnTSJoxfvuhhhbbVxfo7McyKtWjnOSuW\n"
     "Kaco6LeW8UJWPNu0ePJKKLZB8e/sSe7S0cfSYTDtoGwdUaQKmilfZPL0ek3SbIpG\n"
     "mwIDAQAB\n"
     "-----END PUBLIC KEY-----\n",
     "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1MSIsImRldiI6ImQxIiwiYXR0cnMiOnsicGxhbiI6ImdvbGQifSw"
     "iY2FwcyI6WyJwdXNoIl0sImV4cCI6NDAwMDAwMDAwMH0.Ol8R6j5WGZO5qNvHXzekMI1-YpPHgvVEFIXgoxtzPrsyqz-M_Lj0_HD"
     "Bfw_d0Jir3lxm0m0ffTf5I5O4Rew8aR56cU96KOLwdtFQQVulL2N0wu7yE1ixhiRFVW5qufdhoQs9MQumCl25NjW1CLu7ydsBon-"
     "zL4D622m47Qu0Hz9zmszuEdV6KAZArxqDvCCa-PwXY2ReENxEfEgu0jrC-v3OskME08xYZ2MrSOFdkzDwn8fjHRvVfF5IGSLNLXU"
     "kvRWLbhe3mc2uggVgn8Mdva1bvVRu6Z94_OeOGik2rJyr7DUkWRXUjuu1fNa3LqfRyAiF7PcrhlPM_-DpvH25jQ"},
    {JWT_ES256,
     "-----BEGIN PUBLIC KEY-----\n"
     "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJvKkp1JQaAbyicgGxQa5TefnZZkR\n"
     "dZHPgbGQr0NGMm8n0FkaPaT2wFzAqAf6Hd3vkoNuzEqsF0AtrM96PbnphQ==\n"
     "-----END PUBLIC KEY-----\n",
     "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1MSIsImRldiI6ImQxIiwiYXR0cnMiOnsicGxhbiI6ImdvbGQifSw"
     "iY2FwcyI6WyJwdXNoIl0sImV4cCI6NDAwMDAwMDAwMH0.-bJzHWeWH41MDobP3CIHDAz_l8CabuEy0rUTC0c3o91pBwXPzkoSyM3"
     "wHkhZEHNPMQ39msGstGW4pfIaH1b6pw"},
    {JWT_EDDSA,
     "-----BEGIN PUBLIC KEY-----\n"
     "MCowBQYDK2VwAyEADFgVKVpGurGzgYp9E3pPcJRRR+N8xeFTiDebFJkpxV8=\n"
     "-----END PUBLIC KEY-----\n",
     "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1MSIsImRldiI6ImQxIiwiYXR0cnMiOnsicGxhbiI6ImdvbGQifSw"
     "iY2FwcyI6WyJwdXNoIl0sImV4cCI6NDAwMDAwMDAwMH0.JPycMRikUvrAdfmNR9zJmhjGnVFKJ1VsG0eOKcuB6Wz6OUnKV2hv7e3"
     "aBvLrOkjS0bQD0mAOIn4be54SRPCgDA"},
    {JWT_HS256, "a secret of more than thirty-two bytes",
     "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1MSIsImRldiI6ImQxIiwiYXR0cnMiOnsicGxhbiI6ImdvbGQifSw"
     "iY2FwcyI6WyJwdXNoIl0sImV4cCI6NDAwMDAwMDAwMH0.k7LI1BvH3XE2xs0sLF6j7GdynYE6CQHhb4LF_B5_ePk"},
};

/* Made at the start: reading a key makes thousands of allocations, and happens when the process starts. */
static struct jwt_key *keys[sizeof samples / sizeof samples[0]];

static void make_keys(void)
{
    const char *why;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        assert_int_equal(jwt_key_new(samples[i].alg, samples[i].key, strlen(samples[i].key), &keys[i], &why), ERR_OK);
}

static bool verify(enum jwt_alg alg)
{
    size_t i = 0;
    struct jwt jwt;
    const char *why = NULL;
    while (samples[i].alg != alg)
        i++;
    const char *token = samples[i].token;
    TRIAL(jwt_verify(keys[i], token, strlen(token), 1700000000, 0, &jwt, &why) == ERR_OK);
    TRIAL(strcmp(jwt.user, "u1") == 0 && strcmp(jwt.device, "d1") == 0 && jwt.expires_s == 4000000000);
    TRIAL(jwt.attrs && strcmp(jwt.attrs, "{\"plan\":\"gold\"}") == 0); /* absent and unreadable look alike */
    TRIAL(jwt.caps && strcmp(jwt.caps, "[\"push\"]") == 0);
    jwt_release(&jwt);
    TRIAL(jwt_verify(keys[i], token, strlen(token), 4000000001, 0, &jwt, &why) == ERR_EXPIRED);
    TRIAL(jwt_verify(keys[i], token, strlen(token) - 4, 1700000000, 0, &jwt, &why) == ERR_INVALID);
    return true;
}

static bool token_hs256(void)
{
    return verify(JWT_HS256);
}

static bool token_rs256(void)
{
    return verify(JWT_RS256);
}

static bool token_es256(void)
{
    return verify(JWT_ES256);
}

static bool token_eddsa(void)
{
    return verify(JWT_EDDSA);
}

/* --- what clients send -----------------------------------------------------------------------------------------------
 */

static bool http_request(void)
{
    static const char text[] =
        "GET /ws?token=a.b.c HTTP/1.1\r\nHost: push.example.com\r\nUpgrade:websocket\r\n\r\nrest";
    struct http_head *head = http_head_new();
    size_t used;
    char accept[ACCEPT_KEY_LEN + 1];
    http_head_clear(head, 8192);
    TRIAL(http_head_feed(head, text, 20, &used) == HTTP_HEAD_MORE && used == 20);
    TRIAL(http_head_feed(head, text + 20, strlen(text) - 20, &used) == HTTP_HEAD_DONE && used == strlen(text) - 24);
    TRIAL(strcmp(http_head_target(head), "/ws?token=a.b.c") == 0);
    TRIAL(strcmp(http_head_field(head, "host", 0), "push.example.com") == 0);
    http_head_free(&head);
    accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept); /* the sample of RFC 6455 */
    TRIAL(strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0);
    return true;
}

static void add_frame(struct buf *out, unsigned first, const char *text, size_t len)
{
    buf_add_char(out, (char)first);
    buf_add_char(out, (char)(0x80 | 126));
    buf_add_char(out, (char)(len >> 8));
    buf_add_char(out, (char)len);
    buf_add(out, "\0\0\0", 4); /* masked with zeros */
    buf_add(out, text, len);
}

static bool ws_frames(void)
{
    static char text[3000];
    struct buf in;
    struct ws_codec_pool *pool = ws_codec_pool_new(70000, NULL);
    struct ws_codec *codec = ws_codec_get(pool, false);
    memset(text, 'x', sizeof text);
    buf_init(&in);
    for (int i = 0; i < 10; i++)
        add_frame(&in, i == 0 ? 0x01 : i == 9 ? 0x80 : 0x00, text, sizeof text);
    ws_codec_input(codec, in.bytes, in.len);
    struct ws_item item = ws_codec_next(codec);
    TRIAL(item.kind == WS_ITEM_TEXT && item.len == 10 * sizeof text && item.bytes[item.len - 1] == 'x');
    TRIAL(ws_codec_next(codec).kind == WS_ITEM_NONE && ws_codec_is_idle(codec));
    ws_codec_put(pool, &codec);
    ws_codec_pool_free(&pool);
    buf_release(&in);
    return true;
}

static bool client_messages(void)
{
    static const char text[] = "{\"type\":\"message\",\"id\":\"m\\u00e4\",\"content\":{\"a\":1.10}}";
    struct client_message message;
    struct buf scratch;
    const char *why, *str;
    size_t len;
    buf_init(&scratch);
    client_message_parse(text, strlen(text), &message, &why);
    TRIAL(message.type == CLIENT_MESSAGE_MESSAGE && !why && message.fields[CLIENT_FIELD_CONTENT].len == 10);
    TRIAL(client_message_str(&message, CLIENT_FIELD_ID, &scratch, &str, &len) == ERR_OK);
    TRIAL(len == 3 && memcmp(str, "mä", 3) == 0);
    buf_release(&scratch);
    return true;
}

/* --- what routers send, and what is remembered of it -----------------------------------------------------------------
 */

static bool frames_of_pushes(void)
{
    static const char want[] = "{\"type\":\"push\",\"id\":\"m1\",\"seq\":7,";
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    struct push_frame frame;
    delivery.id = (char[]){"m1"};
    delivery.content = (ProtobufCBinaryData){10, (uint8_t *)(char[]){"{\"a\":1.10}"}};
    push_frame_init(&frame);
    push_frame_set(&frame, &delivery);
    struct message *numbered = push_frame_with_seq(&frame, 7);
    TRIAL(memmem(message_bytes(numbered), message_len(numbered), want, strlen(want)));
    TRIAL(memmem(message_bytes(numbered), message_len(numbered), "{\"a\":1.10}", 10));
    struct message *again = push_frame_numbered(push_frame_shared(&frame), push_frame_split(&frame), 7);
    TRIAL(message_len(again) == message_len(numbered));
    TRIAL(memcmp(message_bytes(again), message_bytes(numbered), message_len(again)) == 0);
    message_unref(&numbered);
    message_unref(&again);
    push_frame_release(&frame);
    return true;
}

static void count_one(void *arg, uint64_t seq, const struct unacked_entry *entry)
{
    (void)seq, (void)entry;
    ++*(int *)arg;
}

static bool unacknowledged(void)
{
    int called = 0;
    struct unacked *ring = NULL;
    for (uint64_t seq = 1; seq <= 1000; seq++)
        unacked_add(&ring, seq, &(struct unacked_entry){.id_hash = seq, .len = 10});
    TRIAL(unacked_count(ring) == 1000 && unacked_unwritten(ring) == 10000);
    TRIAL(unacked_ack_through(&ring, 400, count_one, &called) == 400);
    TRIAL(unacked_ack_id(&ring, 700, count_one, &called) == 1 && unacked_count(ring) == 600);
    TRIAL(unacked_take_all(&ring, count_one, &called) == 599 && called == 1000 && !ring);
    return true;
}

static void count_result(void *arg, void *owner, const Herald__V1__Result *result)
{
    (void)owner;
    *(int *)arg += result->kind == HERALD__V1__RESULT_KIND__RESULT_ACKED ? 1 : 1000000;
}

static bool pending_results(void)
{
    static struct pending *all[2000];
    Herald__V1__Result acked = HERALD__V1__RESULT__INIT;
    int told = 0;
    struct pendings *pendings = pendings_new(count_result, &told);
    acked.kind = HERALD__V1__RESULT_KIND__RESULT_ACKED;
    for (uint32_t i = 0; i < 2000; i++) {
        all[i] = pending_new(pendings, NULL, i, 1, false, 0);
        pending_seal(all[i], 1);
    }
    TRIAL(pendings_count(pendings) == 2000);
    for (uint32_t i = 0; i < 2000; i++)
        pending_report(all[i], &acked, 0);
    TRIAL(told == 2000 && pendings_count(pendings) == 0);
    pendings_free(&pendings);
    return true;
}

static bool fencing(void)
{
    char source[40];
    struct fence *fence = fence_new();
    for (int i = 0; i < 200; i++) {
        snprintf(source, sizeof source, "herald.push/%d/100", i);
        TRIAL(fence_admits(fence, source, 5, 2));
    }
    for (int i = 0; i < 200; i++) {
        snprintf(source, sizeof source, "herald.push/%d/200", i);
        TRIAL(!fence_admits(fence, source, 5, 1) && fence_admits(fence, source, 6, 1));
    }
    fence_free(&fence);
    return true;
}

#define PART(fn)                                                                                                       \
    static void fn##_without_memory(void **unused)                                                                     \
    {                                                                                                                  \
        (void)unused;                                                                                                  \
        trial(#fn, fn);                                                                                                \
    }
PART(token_hs256)
PART(token_rs256)
PART(token_es256)
PART(token_eddsa)
PART(http_request)
PART(ws_frames)
PART(client_messages)
PART(frames_of_pushes)
PART(unacknowledged)
PART(pending_results)
PART(fencing)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_hs256_without_memory),     cmocka_unit_test(token_rs256_without_memory),
        cmocka_unit_test(token_es256_without_memory),     cmocka_unit_test(token_eddsa_without_memory),
        cmocka_unit_test(http_request_without_memory),    cmocka_unit_test(ws_frames_without_memory),
        cmocka_unit_test(client_messages_without_memory), cmocka_unit_test(frames_of_pushes_without_memory),
        cmocka_unit_test(unacknowledged_without_memory),  cmocka_unit_test(pending_results_without_memory),
        cmocka_unit_test(fencing_without_memory),
    };
    memory_init();
    make_keys();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
