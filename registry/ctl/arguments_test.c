#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "registry/ctl/arguments.h"
#include "registry/ctl/command.h"

enum { WORDS_MAX = 16 };

static enum err parse(struct arguments *arguments_r, const char *const *words)
{
    char *argv[WORDS_MAX] = {(char *)"heraldctl"};
    int argc = 1;
    struct buf why;
    buf_init(&why);
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    enum err err = arguments_parse(argc, argv, arguments_r, &why);
    assert_int_equal(err != ERR_OK, why.len > 0);
    buf_release(&why);
    return err;
}
#define PARSE(a, ...) parse(a, (const char *const[]){__VA_ARGS__, NULL})

static void options_stand_anywhere(void **state)
{
    (void)state;
    struct arguments a;
    assert_int_equal(PARSE(&a, "--json", "user", "--registry=host:1", "42", "--timeout", "2s"), ERR_OK);
    assert_int_equal(a.word_count, 2);
    assert_string_equal(a.words[0], "user");
    assert_string_equal(a.words[1], "42");
    assert_string_equal(a.values[ARGUMENT_REGISTRY], "host:1");
    assert_string_equal(a.values[ARGUMENT_TIMEOUT], "2s");
    assert_true(argument_is_given(&a, ARGUMENT_JSON));
    assert_false(argument_is_given(&a, ARGUMENT_HELP));
}

static void after_two_dashes_all_are_words(void **state)
{
    (void)state;
    struct arguments a;
    assert_int_equal(PARSE(&a, "user", "--", "--json"), ERR_OK);
    assert_string_equal(a.words[1], "--json");
    assert_false(argument_is_given(&a, ARGUMENT_JSON));
}

static void wrong_ones_are_refused(void **state)
{
    (void)state;
    struct arguments a;
    assert_int_equal(PARSE(&a, "--jso"), ERR_INVALID);
    assert_int_equal(PARSE(&a, "--jsonx"), ERR_INVALID);
    assert_int_equal(PARSE(&a, "--json=1"), ERR_INVALID);
    assert_int_equal(PARSE(&a, "users", "--ids"), ERR_INVALID);
    assert_int_equal(PARSE(&a, "-x"), ERR_INVALID);
    assert_int_equal(PARSE(&a, "1", "2", "3", "4", "5", "6", "7", "8", "9"), ERR_INVALID);
}

static void reads_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"500ms", 500}, {"90s", 90000}, {"30m", 1800000}, {"12h", 43200000}, {"7d", 604800000}, {"0s", 0}};
    static const char *const bad[] = {
        "", "s", "5", "5 s", "-5s", "5sec", "1.5h", "99999999999999999999s", "99999999999999d"};
    uint64_t ms;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(time_parse(good[i].text, &ms), ERR_OK);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(time_parse(bad[i], &ms), ERR_INVALID);
}

static void every_command_is_found_and_complete(void **state)
{
    (void)state;
    for (const struct command *c = commands; c->name; c++) {
        assert_ptr_equal(command_find(c->name), c);
        assert_non_null(c->run);
        assert_true(strlen(c->summary) > 0 && strlen(c->help) > 0);
        assert_int_equal(c->options & ARGUMENTS_FOR_ALL, 0);
    }
    assert_null(command_find("instance"));
    assert_null(command_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(after_two_dashes_all_are_words),
        cmocka_unit_test(wrong_ones_are_refused),
        cmocka_unit_test(reads_times),
        cmocka_unit_test(every_command_is_found_and_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
