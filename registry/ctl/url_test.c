#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "registry/ctl/url.h"

static void check(const char *text, const char *host, const char *port, const char *prefix)
{
    struct url url;
    assert_int_equal(url_parse(text, &url), ERR_OK);
    assert_string_equal(url.host, host);
    assert_string_equal(url.port, port);
    assert_string_equal(url.prefix, prefix);
}

static void reads_what_people_type(void **state)
{
    (void)state;
    check("http://127.0.0.1:9280", "127.0.0.1", "9280", "");
    check("HTTP://registry.example/", "registry.example", "9280", "");
    check("registry:80", "registry", "80", "");
    check("registry", "registry", "9280", "");
    check("http://[::1]:9281/herald/", "::1", "9281", "/herald");
    check("http://proxy/a/b", "proxy", "9280", "/a/b");
}

static void refuses_what_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",         "http://",     "host:",         "host:0",   "host:65536",
                                      "host:1x",  "http://:80",  "http://[::1",   "host/a b", "host/a?b=c",
                                      "host:80a", "host:999999", "host/a\r\nX: y"};
    struct url url;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(url_parse(bad[i], &url), ERR_INVALID);
    assert_int_equal(url_parse("https://host", &url), ERR_UNSUPPORTED);
    assert_int_equal(url_parse("ftp://host", &url), ERR_UNSUPPORTED);
}

static void escapes(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    url_add_escaped(&out, "a/b ?&=%,\xc3\xa4-._~Z9");
    assert_string_equal(out.bytes, "a%2Fb%20%3F%26%3D%25%2C%C3%A4-._~Z9");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_people_type),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
