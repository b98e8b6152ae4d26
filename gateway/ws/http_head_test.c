#include "gateway/ws/http_head.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/buf.h"

enum { MAX = 8192 };

static const char good[] = "GET /ws?token=a.b.c HTTP/1.1\r\n"
                           "Host: push.example.com\r\n"
                           "Upgrade:websocket\r\n"
                           "X-Spaces: \t two words \t\r\n"
                           "x-empty:\r\n"
                           "X-Empty: second\r\n"
                           "\r\n";

struct fed {
    struct http_head *head;
    enum http_head_state state;
    size_t used; /* of all bytes */
};

/* Feeds pieces of `step` bytes until the head says something. */
static struct fed feed(const char *bytes, size_t len, size_t step, size_t max)
{
    struct fed f = {.head = http_head_new(), .state = HTTP_HEAD_MORE};
    http_head_clear(f.head, max);
    while (f.state == HTTP_HEAD_MORE && f.used < len) {
        size_t n = len - f.used < step ? len - f.used : step, used = 0;
        f.state = http_head_feed(f.head, bytes + f.used, n, &used);
        if (f.state == HTTP_HEAD_MORE)
            assert_int_equal(used, n);
        f.used += used;
    }
    return f;
}

/* One byte more, in the target, a name or a value: taken in one piece as byte by byte, and as RFC 9110 has it. */
static void every_byte_everywhere(void **state)
{
    static const struct {
        const char *before, *behind;
    } places[] = {{"GET /a", "b HTTP/1.1\r\nHost: h\r\n\r\n"},
                  {"GET / HTTP/1.1\r\nHost: h\r\na", "b: v\r\n\r\n"},
                  {"GET / HTTP/1.1\r\nHost: h\r\nn: a", "b\r\n\r\n"}};
    (void)state;
    for (int b = 1; b < 256; b++) {
        bool is_token = isalnum(b) || strchr("!#$%&'*+-.^_`|~", b);
        const bool is_good[] = {b > ' ' && b < 0x7F && b != '#', is_token || b == ':',
                                (b >= ' ' && b != 0x7F) || b == '\t'};
        for (int place = 0; place < 3; place++) {
            char text[128];
            size_t len = (size_t)snprintf(text, sizeof(text), "%s%c%s", places[place].before, b, places[place].behind);
            struct fed whole = feed(text, len, len, MAX), bytes = feed(text, len, 1, MAX);
            if (place != 0 || b != ' ') /* there it ends the target, and the version is wrong */
                assert_int_equal(whole.state, is_good[place] ? HTTP_HEAD_DONE : HTTP_HEAD_BAD);
            assert_int_equal(whole.state, bytes.state);
            assert_int_equal(whole.used, bytes.used);
            http_head_free(&whole.head);
            http_head_free(&bytes.head);
        }
    }
}

static void a_head_is_read_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t step = 1; step <= sizeof(good); step++) {
        struct fed f = feed(good, sizeof(good) - 1, step, MAX);
        assert_int_equal(f.state, HTTP_HEAD_DONE);
        assert_int_equal(f.used, sizeof(good) - 1);
        assert_string_equal(http_head_method(f.head), "GET");
        assert_string_equal(http_head_target(f.head), "/ws?token=a.b.c");
        assert_string_equal(http_head_field(f.head, "host", 0), "push.example.com");
        assert_string_equal(http_head_field(f.head, "UPGRADE", 0), "websocket");
        assert_string_equal(http_head_field(f.head, "X-Spaces", 0), "two words");
        assert_string_equal(http_head_field(f.head, "X-Empty", 0), "");
        assert_string_equal(http_head_field(f.head, "X-Empty", 1), "second");
        assert_null(http_head_field(f.head, "X-Empty", 2));
        assert_null(http_head_field(f.head, "Origin", 0));
        http_head_free(&f.head);
    }
}

static void bytes_behind_the_head_are_left(void **state)
{
    (void)state;
    static const char pipelined[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x80more";
    struct fed f = feed(pipelined, sizeof(pipelined) - 1, sizeof(pipelined), MAX);
    assert_int_equal(f.state, HTTP_HEAD_DONE);
    assert_string_equal(pipelined + f.used, "\x81\x80more");
    http_head_free(&f.head);
}

struct bad {
    int status;
    const char *text;
};

#define HOST "Host: a\r\n"
static const struct bad corpus[] = {
    {400, "\x16\x03\x01\x02"},                                             /* TLS on a plain port */
    {400, "\r\nGET / HTTP/1.1\r\n" HOST "\r\n"},                           /* empty line first */
    {400, " GET / HTTP/1.1\r\n" HOST "\r\n"},                              /* no method */
    {400, "G(T / HTTP/1.1\r\n" HOST "\r\n"},                               /* not a token */
    {400, "ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" HOST "\r\n"},                 /* endless method */
    {400, "GET  / HTTP/1.1\r\n" HOST "\r\n"},                              /* two spaces */
    {400, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n"},                           /* control character */
    {400, "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"},                       /* not ASCII */
    {400, "GET /#x HTTP/1.1\r\n" HOST "\r\n"},                             /* fragment */
    {400, "GET /\t HTTP/1.1\r\n" HOST "\r\n"},                             /* tab as separator */
    {400, "GET /\r\n"},                                                    /* HTTP/0.9 */
    {400, "GET / HTTP/1.0\r\n" HOST "\r\n"},                               /* too old */
    {400, "GET / HTTP/2.0\r\n" HOST "\r\n"},                               /* too new */
    {400, "GET / http/1.1\r\n" HOST "\r\n"},                               /* case counts */
    {400, "GET / HTTP/1.1 \r\n" HOST "\r\n"},                              /* space at the end */
    {400, "GET / HTTP/1.1\n" HOST "\r\n"},                                 /* bare LF */
    {400, "GET / HTTP/1.1\r" HOST "\r\n"},                                 /* bare CR */
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\n\r\n"},                         /* bare LF in a field */
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n"},                    /* bare CR in a field */
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\r\n\rX"},                        /* bare CR at the end */
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n"},                 /* folded */
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n"},                /* folded by a tab */
    {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},                           /* white space first */
    {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},                           /* space before the colon */
    {400, "GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n"},                        /* no name */
    {400, "GET / HTTP/1.1\r\n" HOST "A b\r\n\r\n"},                        /* no colon */
    {400, "GET / HTTP/1.1\r\n" HOST "A\r\n\r\n"},                          /* only a name */
    {400, "GET / HTTP/1.1\r\n" HOST "\xc3\xa4: b\r\n\r\n"},                /* name not ASCII */
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n"},                   /* control in a value */
    {400, "GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n\r\n"},                    /* DEL in a value */
    {400, "GET / HTTP/1.1\r\nA: b\r\n\r\n"},                               /* no Host */
    {400, "GET / HTTP/1.1\r\n" HOST "host: b\r\n\r\n"},                    /* two Hosts */
    {400, "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"}, /* a body */
    {413, "GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"},          /* a body */
    {413, "GET / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "Content-Length: 0x0\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"},
};

static void bad_heads_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(corpus) / sizeof(corpus[0]); i++) {
        static const size_t steps[] = {1, 7, 4096};
        for (size_t k = 0; k < 3; k++) {
            struct fed f = feed(corpus[i].text, strlen(corpus[i].text), steps[k], MAX);
            if (f.state != HTTP_HEAD_BAD)
                fail_msg("not refused: %s", corpus[i].text);
            assert_int_equal(http_head_status(f.head), corpus[i].status);
            assert_non_null(http_head_why(f.head));
            http_head_free(&f.head);
        }
    }
}

/* Each byte of a good head replaced by NUL: none of them may pass. */
static void nul_is_refused_anywhere(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof(good) - 1; at++) {
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        text[at] = '\0';
        struct fed f = feed(text, sizeof(good) - 1, 1, MAX);
        assert_int_equal(f.state, HTTP_HEAD_BAD);
        assert_int_equal(f.used, at + 1);
        assert_int_equal(http_head_status(f.head), 400);
        http_head_free(&f.head);
    }
}

static void an_empty_body_is_no_body(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n";
    struct fed f = feed(text, sizeof(text) - 1, 1, MAX);
    assert_int_equal(f.state, HTTP_HEAD_DONE);
    http_head_free(&f.head);
}

static void the_size_limit_is_exact(void **state)
{
    (void)state;
    size_t len = sizeof(good) - 1;
    struct fed f = feed(good, len, 1, len);
    assert_int_equal(f.state, HTTP_HEAD_DONE);
    http_head_free(&f.head);
    f = feed(good, len, 1, len - 1);
    assert_int_equal(f.state, HTTP_HEAD_BAD);
    assert_int_equal(http_head_status(f.head), 431);
    http_head_free(&f.head);
}

static void an_endless_target_is_414(void **state)
{
    (void)state;
    char text[600] = "GET /";
    memset(text + 5, 'a', sizeof(text) - 5);
    struct fed f = feed(text, sizeof(text), 1, 512);
    assert_int_equal(f.state, HTTP_HEAD_BAD);
    assert_int_equal(f.used, 513);
    assert_int_equal(http_head_status(f.head), 414);
    http_head_free(&f.head);
}

static struct fed feed_fields(unsigned count)
{
    struct buf text;
    buf_init(&text);
    buf_add_str(&text, "GET / HTTP/1.1\r\n" HOST);
    for (unsigned i = 1; i < count; i++)
        buf_add_str(&text, "A: b\r\n");
    buf_add_str(&text, "\r\n");
    struct fed f = feed(text.bytes, text.len, 1, MAX);
    buf_release(&text);
    return f;
}

static void the_number_of_fields_is_bounded(void **state)
{
    (void)state;
    struct fed f = feed_fields(HTTP_HEAD_FIELDS_MAX);
    assert_int_equal(f.state, HTTP_HEAD_DONE);
    http_head_free(&f.head);
    f = feed_fields(HTTP_HEAD_FIELDS_MAX + 1);
    assert_int_equal(f.state, HTTP_HEAD_BAD);
    assert_int_equal(http_head_status(f.head), 431);
    http_head_free(&f.head);
}

static void a_cleared_head_starts_anew(void **state)
{
    (void)state;
    struct fed f = feed("GET / HTTP/1.1\r\nBad", 19, 1, MAX);
    http_head_clear(f.head, MAX);
    size_t used;
    assert_int_equal(http_head_feed(f.head, good, sizeof(good) - 1, &used), HTTP_HEAD_DONE);
    assert_string_equal(http_head_target(f.head), "/ws?token=a.b.c");
    http_head_free(&f.head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read_in_pieces_of_any_size),
        cmocka_unit_test(every_byte_everywhere),
        cmocka_unit_test(bytes_behind_the_head_are_left),
        cmocka_unit_test(bad_heads_are_refused),
        cmocka_unit_test(nul_is_refused_anywhere),
        cmocka_unit_test(an_empty_body_is_no_body),
        cmocka_unit_test(the_size_limit_is_exact),
        cmocka_unit_test(an_endless_target_is_414),
        cmocka_unit_test(the_number_of_fields_is_bounded),
        cmocka_unit_test(a_cleared_head_starts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
