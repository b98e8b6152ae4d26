#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "registry/ctl/http.h"

static const char answer[] = "HTTP/1.0 404 Not Found\r\nContent-Type: application/json\r\ncontent-LENGTH: 13\r\n\r\n"
                             "{\"error\":\"x\"}";

static void reads_code_and_body(void **state)
{
    (void)state;
    struct buf body;
    int code = 0;
    buf_init(&body);
    assert_int_equal(http_parse(answer, sizeof(answer) - 1, &code, &body), ERR_OK);
    assert_int_equal(code, 404);
    assert_string_equal(body.bytes, "{\"error\":\"x\"}");
    buf_release(&body);
}

/* Whatever is missing at the end: it is noticed. */
static void every_shorter_answer_is_incomplete(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(answer) - 1; len++) {
        struct buf body;
        int code = 0;
        buf_init(&body);
        assert_int_equal(http_parse(answer, len, &code, &body), ERR_CLOSED);
        assert_int_equal(body.len, 0);
        buf_release(&body);
    }
}

static void without_a_length_the_end_is_the_end(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 OK\r\n\r\n{}";
    struct buf body;
    int code = 0;
    buf_init(&body);
    assert_int_equal(http_parse(text, sizeof(text) - 1, &code, &body), ERR_OK);
    assert_int_equal(code, 200);
    assert_string_equal(body.bytes, "{}");
    buf_release(&body);
}

static void other_protocols_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n",
                                      "HTTP/1.1 abc\r\n\r\n", "-ERR unknown command\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf body;
        int code = 0;
        buf_init(&body);
        assert_int_equal(http_parse(bad[i], strlen(bad[i]), &code, &body), ERR_INVALID);
        buf_release(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_code_and_body),
        cmocka_unit_test(every_shorter_answer_is_incomplete),
        cmocka_unit_test(without_a_length_the_end_is_the_end),
        cmocka_unit_test(other_protocols_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
