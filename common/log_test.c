#include "log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int pipe_fds[2];
static char line[16384];

/* What the last calls wrote, all of it. */
static const char *written(void)
{
    ssize_t n = read(pipe_fds[0], line, sizeof(line) - 1);
    line[n > 0 ? n : 0] = '\0';
    return line;
}

/* The line from its message on: what stands before it has the time in it. */
static const char *fields_of(const char *text)
{
    const char *at = strstr(text, " msg=");
    assert_non_null(at);
    return at + 1;
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(pipe2(pipe_fds, O_NONBLOCK), 0);
    log_set_fd(pipe_fds[1]);
    log_setup(LOG_INFO, LOG_FORMAT_TEXT, "gateway", "gw1-0");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_fd(STDERR_FILENO);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

static void test_text_line(void **state)
{
    (void)state;
    log_info("session opened", F_STR("user", "42"), F_UINT("connection", UINT64_MAX), F_INT("left", INT64_MIN),
             F_BOOL("resumed", true), F_DOUBLE("load", 0.25), F_ERR(ERR_NOT_FOUND));
    const char *text = written();
    unsigned year, ms;
    assert_int_equal(sscanf(text, "ts=%4u-%*2u-%*2uT%*2u:%*2u:%*2u.%3uZ ", &year, &ms), 2);
    assert_true(year >= 2024 && ms < 1000);
    assert_non_null(strstr(text, "Z level=info component=gateway instance=gw1-0 msg="));
    assert_string_equal(fields_of(text), "msg=\"session opened\" user=42 connection=18446744073709551615 "
                                         "left=-9223372036854775808 resumed=true load=0.25 err=not_found\n");
}

static void test_text_is_quoted_and_escaped(void **state)
{
    (void)state;
    log_info("odd", F_STR("empty", ""), F_STR("null", NULL), F_STR("space", "a b"), F_STR("equals", "a=b"),
             F_STR("quote", "a\"b\\c"), F_STR("lines", "a\nb\r\tc"), F_STR("terminal", "\x1b[31m\x7f"),
             F_STR("c1", "\xc2\x9b"), F_STR("utf8", "gr\xc3\xbc\xc3\x9f"), F_STR("broken", "\xff\xc3("),
             F_STRN("part", "abcdef", 3));
    assert_string_equal(fields_of(written()),
                        "msg=odd empty=\"\" null=\"\" space=\"a b\" equals=\"a=b\" quote=\"a\\\"b\\\\c\" "
                        "lines=\"a\\nb\\r\\tc\" terminal=\"\\x1b[31m\\x7f\" c1=\"\\xc2\\x9b\" "
                        "utf8=\"gr\xc3\xbc\xc3\x9f\" broken=\"\\xff\\xc3(\" part=abc\n");
}

static void test_json_line_parses(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_FORMAT_JSON, "router", NULL);
    log_error("odd \"things\"", F_STR("text", "a\nb\x01\x7f\xff\xc3\xbc"), F_INT("n", -7), F_DOUBLE("x", 1.5),
              F_DOUBLE("nan", NAN), F_BOOL("no", false));
    const char *text = written();
    assert_int_equal(text[strlen(text) - 1], '\n');
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(json, "component")), "router");
    assert_null(json_object_get(json, "instance"));
    assert_string_equal(json_string_value(json_object_get(json, "msg")), "odd \"things\"");
    assert_string_equal(json_string_value(json_object_get(json, "text")), "a\nb\x01\x7f\xef\xbf\xbd\xc3\xbc");
    assert_int_equal(json_integer_value(json_object_get(json, "n")), -7);
    assert_true(json_is_null(json_object_get(json, "nan")));
    assert_true(json_is_false(json_object_get(json, "no")));
    json_decref(json);
}

static void test_level_filters(void **state)
{
    (void)state;
    log_debug("not shown");
    assert_string_equal(written(), "");
    log_setup(LOG_DEBUG, LOG_FORMAT_TEXT, "gateway", "gw1-0");
    log_debug("shown");
    assert_string_equal(fields_of(written()), "msg=shown\n");
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "gateway", "gw1-0");
    log_warn("not shown");
    assert_string_equal(written(), "");
}

static void test_long_value_is_cut(void **state)
{
    (void)state;
    char value[3001];
    memset(value, 'x', 3000);
    value[3000] = '\0';
    log_info("long", F_STR("value", value), F_STR("after", "here"));
    const char *text = fields_of(written());
    assert_int_equal(strspn(strchr(text, 'x'), "x"), 1024);
    assert_non_null(strstr(text, "x...\" after=here\n"));
    /* a cut through a character leaves valid UTF-8 */
    for (size_t i = 0; i + 2 <= 3000; i += 2)
        memcpy(value + i + 1, "\xc3\xbc", i + 3 <= 3000 ? 2 : 1);
    log_setup(LOG_INFO, LOG_FORMAT_JSON, "gateway", NULL);
    log_info("long", F_STR("value", value));
    json_t *json = json_loads(written(), 0, NULL);
    assert_non_null(json);
    json_decref(json);
}

static void check_full_line(enum log_format format)
{
    static char value[1001];
    memset(value, '\n', 1000); /* twice as long when escaped */
    log_setup(LOG_INFO, format, "gateway", NULL);
    log_write(LOG_INFO, 7, "full",
              LOG_FIELDS(F_STR("a", value), F_STR("b", value), F_STR("c", value), F_STR("d", value), F_STR("e", value),
                         F_STR("f", value)));
}

static void test_full_line_is_whole(void **state)
{
    (void)state;
    check_full_line(LOG_FORMAT_TEXT);
    const char *text = written();
    assert_true(strlen(text) <= 8192);
    assert_string_equal(strrchr(text, '"') + 1, " suppressed=7 cut=true\n");
    assert_null(strstr(text, " e="));
    check_full_line(LOG_FORMAT_JSON);
    json_t *json = json_loads(written(), 0, NULL);
    assert_non_null(json);
    assert_non_null(json_object_get(json, "c"));
    assert_null(json_object_get(json, "e"));
    assert_true(json_is_true(json_object_get(json, "cut")));
    json_decref(json);
}

static void test_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        log_limited(LOG_INFO, "often", F_INT("i", i));
    const char *text = written();
    assert_string_equal(fields_of(text), "msg=often i=0\n");
    struct log_limit limit = {0};
    uint64_t suppressed = 99;
    assert_true(log_limit_pass(&limit, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_limit_pass(&limit, &suppressed));
    assert_false(log_limit_pass(&limit, &suppressed));
    limit.last_ms -= 1000; /* as if a second had passed */
    assert_true(log_limit_pass(&limit, &suppressed));
    assert_int_equal(suppressed, 2);
}

static void test_full_pipe_does_not_stop_us(void **state)
{
    (void)state;
    assert_true(fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK) == 0);
    errno = ENOENT;
    for (int i = 0; i < 5000; i++)
        log_info("nobody reads this", F_INT("i", i));
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    alarm(30);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_is_quoted_and_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_line_parses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_level_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_value_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_line_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_pipe_does_not_stop_us, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
