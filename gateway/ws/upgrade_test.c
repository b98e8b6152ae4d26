#include "gateway/ws/upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/ws/accept_key.h"
#include "gateway/ws/origin.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ==" /* of RFC 6455 section 1.3 */
#define CORE                                                                                                           \
    "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY     \
    "\r\n"

/* One decision, with what it points into. */
struct decided {
    struct http_head *head;
    struct upgrade u;
    struct buf answer;
};

static struct decided decide_with(const char *request_line, const char *fields, const struct conn_settings *settings)
{
    struct decided d = {.head = http_head_new()};
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%s\r\n%s\r\n", request_line, fields);
    http_head_clear(d.head, 8192);
    size_t used;
    assert_int_equal(http_head_feed(d.head, text.bytes, text.len, &used), HTTP_HEAD_DONE);
    upgrade_decide(d.head, settings, 0, &d.u);
    buf_init(&d.answer);
    upgrade_answer(&d.u, &d.answer);
    buf_release(&text);
    return d;
}

static struct decided decide(const char *request_line, const char *fields)
{
    char path[] = "/ws";
    struct conn_settings settings = {.path = path};
    return decide_with(request_line, fields, &settings);
}

static void release(struct decided *d)
{
    http_head_free(&d->head);
    buf_release(&d->answer);
}

static void status_is(const char *request_line, const char *fields, int status)
{
    struct decided d = decide(request_line, fields);
    if (d.u.status != status)
        fail_msg("%d instead of %d: %s | %s", d.u.status, status, request_line, fields);
    char start[32];
    snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
    assert_memory_equal(d.answer.bytes, start, strlen(start));
    release(&d);
}

static void the_example_of_the_rfc(void **state)
{
    (void)state;
    struct decided d = decide("GET /ws HTTP/1.1", CORE);
    assert_int_equal(d.u.status, 101);
    assert_string_equal(d.answer.bytes, "HTTP/1.1 101 Switching Protocols\r\n"
                                        "Upgrade: websocket\r\n"
                                        "Connection: Upgrade\r\n"
                                        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                        "\r\n");
    release(&d);
}

static void what_clients_may_vary_is_accepted(void **state)
{
    (void)state;
    status_is("GET /ws? HTTP/1.1", CORE, 101);
    status_is("GET http://a:8080/ws?device=d HTTP/1.1", CORE, 101);
    status_is("GET /ws HTTP/1.1",
              "host: a\r\nupgrade: h2c, WebSocket\r\nconnection: keep-alive , uPGRADE\r\n"
              "sec-websocket-version: 13\r\nsec-websocket-key: " KEY "\r\n",
              101);
    status_is("GET /ws HTTP/1.1",
              "Host: a\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n",
              101);
    status_is("GET /ws HTTP/1.1", CORE "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", 101);
}

static void wrong_requests_get_their_status(void **state)
{
    (void)state;
    status_is("GET / HTTP/1.1", CORE, 404);
    status_is("GET /ws/ HTTP/1.1", CORE, 404);
    status_is("GET /WS HTTP/1.1", CORE, 404);
    status_is("GET http://a HTTP/1.1", CORE, 404);
    status_is("OPTIONS * HTTP/1.1", CORE, 404);
    status_is("POST /ws HTTP/1.1", CORE, 405);
    status_is("get /ws HTTP/1.1", CORE, 405);
    status_is("GET /ws HTTP/1.1", "Host: a\r\n", 426);
    status_is("GET /ws HTTP/1.1", "Host: a\r\nConnection: Upgrade\r\n", 426);
    status_is("GET /ws HTTP/1.1",
              "Host: a\r\nUpgrade: websocket\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: " KEY "\r\n",
              426);
    status_is("GET /ws?device=%zz HTTP/1.1", CORE, 400);
    status_is("GET /ws?device=%4 HTTP/1.1", CORE, 400);
    status_is("GET /ws?device=a%00b HTTP/1.1", CORE, 400);
    status_is("GET /ws?device=a%0Ab HTTP/1.1", CORE, 400);
    status_is("GET /ws?device=%ff HTTP/1.1", CORE, 400);
    status_is("GET /ws?device=a&device=b HTTP/1.1", CORE, 400);
    status_is("GET /ws HTTP/1.1", CORE "Origin: http://a\r\nOrigin: http://b\r\n", 400);
    status_is("GET /ws HTTP/1.1", CORE "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", 400);
    status_is("GET /ws HTTP/1.1", CORE "Sec-WebSocket-Protocol: a b\r\n", 400);
}

static void the_version_must_be_13(void **state)
{
    (void)state;
    static const char *const versions[] = {"", "Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Version: 13, 8\r\n",
                                           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n",
                                           "Sec-WebSocket-Version: 013\r\n"};
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        char fields[400];
        snprintf(fields, sizeof(fields),
                 "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n%s",
                 versions[i]);
        struct decided d = decide("GET /ws HTTP/1.1", fields);
        assert_int_equal(d.u.status, 426);
        assert_non_null(strstr(d.answer.bytes, "\r\nSec-WebSocket-Version: 13\r\n"));
        release(&d);
    }
}

static void the_key_is_16_bytes_of_base64(void **state)
{
    (void)state;
    assert_true(accept_key_is_valid(KEY));
    static const char *const bad[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25jZQQ=",
        "dGhlIHNhbXBsZSBub25j*Q==",
        "dGhlIHNhbXBsZSBub25jZQ== x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char fields[400];
        snprintf(fields, sizeof(fields),
                 "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: %s\r\n",
                 bad[i]);
        status_is("GET /ws HTTP/1.1", fields, 400);
    }
    status_is("GET /ws HTTP/1.1", CORE "Sec-WebSocket-Key: " KEY "\r\n", 400);
    status_is("GET /ws HTTP/1.1",
              "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", 400);
}

static void a_refusal_is_a_whole_answer(void **state)
{
    (void)state;
    static const int statuses[] = {400, 403, 404, 405, 413, 414, 426, 431, 503};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct buf out;
        buf_init(&out);
        upgrade_refusal(statuses[i], "because", 7, &out);
        const char *body = strstr(out.bytes, "\r\n\r\n");
        assert_non_null(body);
        assert_string_equal(body + 4, "because\n");
        assert_non_null(strstr(out.bytes, "\r\nContent-Length: 8\r\n"));
        assert_non_null(
            strstr(out.bytes, statuses[i] == 426 ? "\r\nConnection: Upgrade, close\r\n" : "\r\nConnection: close\r\n"));
        assert_int_equal(strstr(out.bytes, "\r\nRetry-After: 7\r\n") != NULL, statuses[i] == 503);
        assert_int_equal(strstr(out.bytes, "\r\nAllow: GET\r\n") != NULL, statuses[i] == 405);
        buf_release(&out);
    }
}

static void subprotocols(void **state)
{
    (void)state;
    static const struct {
        const char *offer, *chosen, *token;
    } rows[] = {
        {"", NULL, NULL},
        {"Sec-WebSocket-Protocol: herald.json.v1\r\n", "herald.json.v1", NULL},
        {"Sec-WebSocket-Protocol: mqtt, herald.json.v1 ,chat\r\n", "herald.json.v1", NULL},
        {"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: herald.json.v1\r\n", "herald.json.v1", NULL},
        {"Sec-WebSocket-Protocol: mqtt\r\n", NULL, NULL},
        {"Sec-WebSocket-Protocol: herald.jwt.aa.bb.cc\r\n", NULL, "aa.bb.cc"},
        {"Sec-WebSocket-Protocol: herald.json.v1, herald.jwt.aa.b-_b.cc\r\n", "herald.json.v1", "aa.b-_b.cc"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char fields[500];
        snprintf(fields, sizeof(fields), CORE "%s", rows[i].offer);
        struct decided d = decide("GET /ws HTTP/1.1", fields);
        assert_int_equal(d.u.status, 101);
        assert_null(strstr(d.answer.bytes, "jwt"));
        char *line = strstr(d.answer.bytes, "Sec-WebSocket-Protocol: ");
        assert_int_equal(line != NULL, rows[i].chosen != NULL);
        if (line)
            assert_memory_equal(line + 24, rows[i].chosen, strlen(rows[i].chosen));
        if (rows[i].token)
            assert_string_equal(d.u.request.token, rows[i].token);
        else
            assert_null(d.u.request.token);
        release(&d);
    }
}

static void what_the_request_says(void **state)
{
    (void)state;
    struct decided d = decide("GET /ws?x=1&user=a%2Bb%40c&device=my+phone%20%C3%A4&token=q.q.q&flag HTTP/1.1",
                              CORE "Origin: https://app.example.com\r\nUser-Agent: ua/1\r\nX-Forwarded-For: 1.2.3.4\r\n"
                                   "Sec-WebSocket-Protocol: herald.jwt.p.p.p\r\n");
    assert_int_equal(d.u.status, 101);
    assert_string_equal(d.u.request.user, "a+b@c");
    assert_string_equal(d.u.request.device, "my phone \xC3\xA4");
    assert_string_equal(d.u.request.token, "q.q.q");
    assert_string_equal(d.u.request.origin, "https://app.example.com");
    assert_string_equal(d.u.request.user_agent, "ua/1");
    assert_string_equal(d.u.request.forwarded_for, "1.2.3.4");
    release(&d);

    d = decide("GET /ws?token=q.q.q HTTP/1.1", CORE "Authorization: bearer h.h.h\r\n");
    assert_string_equal(d.u.request.token, "h.h.h");
    assert_null(d.u.request.device);
    release(&d);

    d = decide("GET /ws?token=q.q.q HTTP/1.1", CORE "Authorization: Basic h\r\n");
    assert_string_equal(d.u.request.token, "q.q.q");
    release(&d);
}

static void origins(void **state)
{
    (void)state;
    char exact[] = "https://app.example.com", below[] = "https://*.example.org";
    char *items[] = {exact, below};
    char path[] = "/ws";
    struct conn_settings settings = {.path = path, .origins = {.items = items, .count = 2}};
    static const struct {
        const char *origin;
        int status;
    } rows[] = {
        {"https://app.example.com", 101},
        {"HTTPS://App.Example.com", 101},
        {"https://a.example.org", 101},
        {"https://a.b.example.org", 101},
        {"https://example.org", 403},
        {"https://.example.org", 403},
        {"https://aexample.org", 403},
        {"http://app.example.com", 403},
        {"https://app.example.com.evil.com", 403},
        {"https://evil.com/.example.org", 403},
        {"https://evil.com#.example.org", 403},
        {"https://evil.com:80.example.org", 403},
        {"null", 403},
        {"", 403},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char fields[500];
        snprintf(fields, sizeof(fields), CORE "Origin: %s\r\n", rows[i].origin);
        struct decided d = decide_with("GET /ws HTTP/1.1", fields, &settings);
        if (d.u.status != rows[i].status)
            fail_msg("%d for %s", d.u.status, rows[i].origin);
        release(&d);
    }
    struct decided d = decide_with("GET /ws HTTP/1.1", CORE, &settings);
    assert_int_equal(d.u.status, 101); /* no browser */
    release(&d);
    char star[] = "*";
    char *all[] = {star};
    assert_true(origin_is_allowed(&(struct option_list){.items = all, .count = 1}, "null"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc),
        cmocka_unit_test(what_clients_may_vary_is_accepted),
        cmocka_unit_test(wrong_requests_get_their_status),
        cmocka_unit_test(the_version_must_be_13),
        cmocka_unit_test(the_key_is_16_bytes_of_base64),
        cmocka_unit_test(a_refusal_is_a_whole_answer),
        cmocka_unit_test(subprotocols),
        cmocka_unit_test(what_the_request_says),
        cmocka_unit_test(origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
