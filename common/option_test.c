#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "option.h"

struct sample {
    char *name, *token;
    int64_t workers, frame, wait, offset_any;
    bool is_on;
    int level;
    struct option_list origins;
};

#define ROW(key, kind, field, fallback, min, max, choices)                                                             \
    {                                                                                                                  \
        "gate", key, kind, offsetof(struct sample, field), fallback, min, max, choices, "What " key " means."          \
    }

static const struct option first_table[] = {
    ROW("name", OPTION_STRING, name, "gw1", 0, 0, NULL),
    ROW("workers", OPTION_INT, workers, "4", 1, 256, NULL),
    ROW("frame", OPTION_SIZE, frame, "64KiB", 1024, 1 << 20, NULL),
    {0},
};
static const struct option second_table[] = {
    {"log_out", "level", OPTION_CHOICE, offsetof(struct sample, level), "info", 0, 0, "error|warn|info",
     "Least level."},
    ROW("token", OPTION_SECRET, token, "", 0, 0, NULL),
    ROW("wait", OPTION_DURATION, wait, "30s", 100, 120000, NULL),
    ROW("offset_any", OPTION_INT, offset_any, "-7", 0, 0, NULL),
    ROW("on", OPTION_BOOL, is_on, "false", 0, 0, NULL),
    ROW("origins", OPTION_LIST, origins, "", 0, 0, NULL),
    {0},
};
static const struct option *const tables[] = {first_table, second_table, NULL};

/* A loaded sample with what was said on the way. */
struct loaded {
    struct sample sample;
    struct option_set set;
    char said[4096];
    enum err err;
};

static void load(struct loaded *l, const char *file, char *const *environment, const char *const *assignments,
                 size_t count)
{
    memset(l, 0, sizeof *l);
    l->set = (struct option_set){tables, &l->sample, "herald-test", "a test."};
    FILE *errors = fmemopen(l->said, sizeof l->said, "w");
    l->err = option_load(&l->set, file, environment, assignments, count, errors);
    fclose(errors);
}

static void load_set(struct loaded *l, const char *assignment)
{
    load(l, NULL, NULL, &assignment, 1);
}

static char file_path[64];

static void write_file(const char *text)
{
    snprintf(file_path, sizeof file_path, "/tmp/option_test.XXXXXX");
    int fd = mkstemp(file_path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void load_yaml(struct loaded *l, const char *text)
{
    write_file(text);
    load(l, file_path, NULL, NULL, 0);
    unlink(file_path);
}

static void assert_says(const struct loaded *l, const char *part)
{
    if (!strstr(l->said, part))
        fail_msg("expected \"%s\" in \"%s\"", part, l->said);
}

/* "<file>:3: gate.workers: why" */
static void assert_yaml_refused(const char *text, int line, const char *rest)
{
    struct loaded l;
    char expected[256];
    load_yaml(&l, text);
    snprintf(expected, sizeof expected, "%s:%d: %s", file_path, line, rest);
    assert_int_equal(l.err, ERR_INVALID);
    assert_says(&l, expected);
    option_release(&l.set);
}

static void assert_set_refused(const char *assignment, const char *said)
{
    struct loaded l;
    load_set(&l, assignment);
    assert_int_equal(l.err, ERR_INVALID);
    assert_says(&l, said);
    option_release(&l.set);
}

static void defaults_of_every_kind(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, NULL, NULL, NULL, 0);
    assert_int_equal(l.err, ERR_OK);
    assert_string_equal(l.said, "");
    assert_string_equal(l.sample.name, "gw1");
    assert_string_equal(l.sample.token, "");
    assert_int_equal(l.sample.workers, 4);
    assert_int_equal(l.sample.frame, 65536);
    assert_int_equal(l.sample.wait, 30000);
    assert_int_equal(l.sample.offset_any, -7);
    assert_false(l.sample.is_on);
    assert_int_equal(l.sample.level, 2);
    assert_int_equal(l.sample.origins.count, 0);
    option_release(&l.set);
    assert_null(l.sample.name);
    option_release(&l.set); /* harmless */
}

static void numbers_with_units(void **state)
{
    (void)state;
    static const struct {
        const char *assignment;
        size_t offset;
        int64_t value;
    } cases[] = {
        {"gate.frame=1MiB", offsetof(struct sample, frame), 1 << 20},
        {"gate.frame=2048", offsetof(struct sample, frame), 2048},
        {"gate.frame=2048B", offsetof(struct sample, frame), 2048},
        {"gate.wait=100ms", offsetof(struct sample, wait), 100},
        {"gate.wait=2m", offsetof(struct sample, wait), 120000},
        {"gate.offset_any=-9223372036854775808", offsetof(struct sample, offset_any), INT64_MIN},
        {"gate.workers=1", offsetof(struct sample, workers), 1},
        {"gate.workers=256", offsetof(struct sample, workers), 256},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loaded l;
        load_set(&l, cases[i].assignment);
        assert_int_equal(l.err, ERR_OK);
        int64_t value;
        memcpy(&value, (char *)&l.sample + cases[i].offset, sizeof value);
        assert_int_equal(value, cases[i].value);
        option_release(&l.set);
    }
}

static void malformed_and_out_of_range_values(void **state)
{
    (void)state;
    assert_set_refused("gate.workers=257", "--set: gate.workers: 257 is out of range (1..256)");
    assert_set_refused("gate.workers=0", "0 is out of range (1..256)");
    assert_set_refused("gate.workers=4x", "\"4x\" is not an integer");
    assert_set_refused("gate.workers=", "is not an integer");
    assert_set_refused("gate.workers= 4", "is not an integer");
    assert_set_refused("gate.workers=99999999999999999999", "is not an integer");
    assert_set_refused("gate.frame=2MiB", "2MiB is out of range (1KiB..1MiB)");
    assert_set_refused("gate.frame=64kb", "is not a size");
    assert_set_refused("gate.frame=9000000TiB", "is not a size"); /* 2^63 is passed */
    assert_set_refused("gate.frame=-1", "is not a size");
    assert_set_refused("gate.wait=30", "is not a duration"); /* thirty of what? */
    assert_set_refused("gate.wait=99ms", "99ms is out of range (100ms..2m)");
    assert_set_refused("gate.wait=1d", "out of range");
    assert_set_refused("gate.on=maybe", "\"maybe\" is not true or false");
    assert_set_refused("log_out.level=warning", "\"warning\" is none of error|warn|info");
    assert_set_refused("log_out.level=warn|info", "is none of");
    assert_set_refused("gate.nothing=1", "gate.nothing: unknown option");
    assert_set_refused("nowhere.name=1", "nowhere.name: unknown section");
    assert_set_refused("gate.name", "expected section.key=value");
    assert_set_refused("name=1.2", "expected section.key=value");
}

static void a_refused_value_changes_nothing(void **state)
{
    (void)state;
    struct loaded l;
    load_set(&l, "gate.workers=9");
    FILE *errors = fmemopen(l.said, sizeof l.said, "w");
    assert_int_equal(option_set_one(&l.set, "gate", "workers", "900", "reload", errors), ERR_INVALID);
    assert_int_equal(option_set_one(&l.set, "gate", "name", "other", "reload", errors), ERR_OK);
    fclose(errors);
    assert_int_equal(l.sample.workers, 9);
    assert_string_equal(l.sample.name, "other");
    assert_says(&l, "reload: gate.workers: 900");
    option_release(&l.set);
}

static void yaml_sets_every_kind(void **state)
{
    (void)state;
    struct loaded l;
    load_yaml(&l, "# a comment\n"
                  "gate:\n"
                  "  name: \"two words: \\u00e9\"\n"
                  "  token: hunter2\n"
                  "  workers: 12\n"
                  "  frame: 128KiB\n"
                  "  wait: 5s\n"
                  "  on: yes\n"
                  "  origins:\n"
                  "    - https://a.example\n"
                  "    - \"b, with a comma\"\n"
                  "log_out: {level: error}\n");
    assert_string_equal(l.said, "");
    assert_int_equal(l.err, ERR_OK);
    assert_string_equal(l.sample.name, "two words: \xc3\xa9");
    assert_string_equal(l.sample.token, "hunter2");
    assert_int_equal(l.sample.workers, 12);
    assert_int_equal(l.sample.frame, 128 << 10);
    assert_int_equal(l.sample.wait, 5000);
    assert_true(l.sample.is_on);
    assert_int_equal(l.sample.origins.count, 2);
    assert_string_equal(l.sample.origins.items[1], "b, with a comma");
    assert_int_equal(l.sample.level, 0);
    option_release(&l.set);
}

static void yaml_without_anything(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "---\n", "gate:\nlog_out:\n", "{}\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct loaded l;
        load_yaml(&l, texts[i]);
        assert_string_equal(l.said, "");
        assert_int_equal(l.err, ERR_OK);
        option_release(&l.set);
    }
}

static void yaml_mistakes_name_file_line_and_key(void **state)
{
    (void)state;
    assert_yaml_refused("gate:\n  name: x\n  wrokers: 3\n", 3, "gate.wrokers: unknown option");
    assert_yaml_refused("gaet:\n  name: x\n", 2, "gaet.name: unknown section");
    assert_yaml_refused("gate:\n\n  workers: 900\n", 3, "gate.workers: 900 is out of range (1..256)");
    assert_yaml_refused("gate:\n  on: [a]\n", 2, "gate.on: takes one value, not a list");
    assert_yaml_refused("gate:\n  name: x\n  name: y\n", 3, "gate.name: given twice");
    assert_yaml_refused("gate:\n  name: x\nlog_out:\ngate:\n  name: y\n", 5, "gate.name: given twice");
    assert_yaml_refused("gate:\n  name:\n    deep: 1\n", 3, "gate.name: keys are flat");
    assert_yaml_refused("gate:\n  origins: [[a]]\n", 2, "gate.origins: a list is not expected here");
    assert_yaml_refused("gate: 3\n", 1, "gate: a section holds keys");
    assert_yaml_refused("gate: [a]\n", 1, "gate: a list is not expected here");
    assert_yaml_refused("- gate\n", 1, "a list is not expected here");
    assert_yaml_refused("gate\n", 1, "expected sections");
    assert_yaml_refused("gate:\n  name: &a x\n  token: *a\n", 3, "gate.token: YAML aliases are not supported");
    assert_yaml_refused("gate:\n  name: x\n---\nlog_out:\n", 3, "only one YAML document");
    assert_yaml_refused("gate:\n  name: \"a\\0b\"\n", 2, "gate.name: contains a zero byte");
    assert_yaml_refused("gate:\n  name: 'x\n", 3, "found unexpected end of stream");
    assert_yaml_refused("gate:\n  ? {a: b}\n  : c\n  workers: 0\n", 4, "gate.workers: 0 is out of range");
}

static void all_mistakes_are_told_and_the_rest_is_read(void **state)
{
    (void)state;
    struct loaded l;
    load_yaml(&l, "gate:\n  workers: 900\n  name: {a: {b: [c]}}\n  on: perhaps\n  wait: 7s\n");
    assert_int_equal(l.err, ERR_INVALID);
    assert_says(&l, ":2: gate.workers");
    assert_says(&l, ":3: gate.name");
    assert_says(&l, ":4: gate.on");
    assert_int_equal(l.sample.wait, 7000);
    option_release(&l.set);
}

static void a_file_that_cannot_be_read(void **state)
{
    (void)state;
    struct loaded l;
    load(&l, "/nonexistent/herald.yaml", NULL, NULL, 0);
    assert_int_equal(l.err, ERR_INVALID);
    assert_says(&l, "/nonexistent/herald.yaml: cannot be read: No such file");
    option_release(&l.set);
    load(&l, "/", NULL, NULL, 0);
    assert_int_equal(l.err, ERR_INVALID);
    option_release(&l.set);
}

static void later_sources_win(void **state)
{
    (void)state;
    struct loaded l;
    char workers[] = "HERALD_GATE_WORKERS=3", level[] = "HERALD_LOG_OUT_LEVEL=warn", name[] = "HERALD_GATE_NAME=env";
    char origins[] = "HERALD_GATE_ORIGINS= a , b,,c ";
    char *environment[] = {workers, level, name, origins, NULL};
    const char *assignments[] = {"gate.name=one", "gate.name=two=2"};
    write_file("gate:\n  name: file\n  workers: 2\n  wait: 1s\n  origins: [x]\n");
    load(&l, file_path, environment, assignments, 2);
    unlink(file_path);
    assert_int_equal(l.err, ERR_OK);
    assert_string_equal(l.said, "");
    assert_int_equal(l.sample.frame, 65536);     /* default */
    assert_int_equal(l.sample.wait, 1000);       /* file */
    assert_int_equal(l.sample.workers, 3);       /* environment over file */
    assert_int_equal(l.sample.level, 1);         /* a section with '_' in its name */
    assert_string_equal(l.sample.name, "two=2"); /* --set over all, the last one of them */
    assert_int_equal(l.sample.origins.count, 3);
    assert_string_equal(l.sample.origins.items[0], "a");
    assert_string_equal(l.sample.origins.items[2], "c");
    option_release(&l.set);
}

static void environment_mistakes(void **state)
{
    (void)state;
    struct loaded l;
    char wrong[] = "HERALD_GATE_WORKERS=many";
    char *one[] = {wrong, NULL};
    load(&l, NULL, one, NULL, 0);
    assert_int_equal(l.err, ERR_INVALID);
    assert_says(&l, "HERALD_GATE_WORKERS: gate.workers: \"many\" is not an integer");
    option_release(&l.set);

    char typo[] = "HERALD_GATE_WROKERS=3", other[] = "HERALD_ROUTER_WINDOW=3", bare[] = "HERALD_", foreign[] = "HOME=/";
    char *others[] = {typo, other, bare, foreign, NULL};
    load(&l, NULL, others, NULL, 0);
    assert_int_equal(l.err, ERR_OK);
    assert_string_equal(l.said, "herald-test: HERALD_GATE_WROKERS: names no option of this program, ignored\n");
    option_release(&l.set);
}

typedef void print_fn(const struct option_set *set, FILE *out);

static void print(const struct loaded *l, print_fn *fn, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");
    fn(&l->set, out);
    fclose(out);
}

static void printed_config_reads_back(void **state)
{
    (void)state;
    struct loaded l, back;
    static char text[4096], again[4096];
    const char *assignments[] = {"gate.name=a \"b\" \\ : # \n\t\x7f \xc3\xa9",
                                 "gate.workers=7",
                                 "gate.frame=3000",
                                 "gate.wait=90s",
                                 "gate.on=true",
                                 "gate.origins=no,[x],*,",
                                 "log_out.level=error",
                                 "gate.token=hunter2"};
    load(&l, NULL, NULL, assignments, sizeof assignments / sizeof assignments[0]);
    assert_int_equal(l.err, ERR_OK);
    print(&l, option_print_config, text, sizeof text);
    load_yaml(&back, text);
    assert_string_equal(back.said, "");
    assert_string_equal(back.sample.name, l.sample.name);
    assert_int_equal(back.sample.wait, 90000);
    assert_int_equal(back.sample.origins.count, 3);
    assert_string_equal(back.sample.origins.items[1], "[x]");
    assert_string_equal(back.sample.token, ""); /* secrets do not travel */
    FILE *errors = fopen("/dev/null", "w");
    assert_int_equal(option_set_one(&back.set, "gate", "token", "hunter2", "test", errors), ERR_OK);
    fclose(errors);
    print(&back, option_print_config, again, sizeof again);
    assert_string_equal(text, again);
    option_release(&l.set);
    option_release(&back.set);
}

static void secrets_are_never_printed(void **state)
{
    (void)state;
    static print_fn *const printers[] = {option_print_config, option_print_help, option_print_docs};
    struct loaded l;
    load_set(&l, "gate.token=hunter2");
    for (size_t i = 0; i < sizeof printers / sizeof printers[0]; i++) {
        static char text[8192];
        print(&l, printers[i], text, sizeof text);
        assert_null(strstr(text, "hunter2"));
        assert_non_null(strstr(text, "token"));
        if (printers[i] == option_print_config)
            assert_non_null(strstr(text, "# token: (set)"));
    }
    option_release(&l.set);
    load_set(&l, "gate.tokne=hunter2");
    assert_null(strstr(l.said, "hunter2"));
    option_release(&l.set);
    load_set(&l, "gate.tokenhunter2");
    assert_null(strstr(l.said, "hunter2"));
    option_release(&l.set);
}

static void help_and_docs_group_by_section(void **state)
{
    (void)state;
    static char help[8192], docs[8192];
    struct loaded l = {.set = {tables, &l.sample, "herald-test", "a test."}};
    print(&l, option_print_help, help, sizeof help);
    print(&l, option_print_docs, docs, sizeof docs);
    assert_non_null(strstr(help, "gate.workers  (integer, 1..256; default 4)\n      What workers means.\n"));
    assert_non_null(strstr(help, "gate.frame  (size, 1KiB..1MiB; default 64KiB)"));
    assert_non_null(strstr(help, "log_out.level  (error|warn|info; default info)"));
    /* `token` stands in the second table behind another section, yet is printed with its own */
    assert_true(strstr(help, "gate.token") < strstr(help, "log_out.level"));
    assert_non_null(strstr(docs, "| `gate.wait` | duration, 100ms..2m | `30s` | What wait means. |"));
    assert_non_null(strstr(docs, "| `log_out.level` | error\\|warn\\|info | `info` | Least level. |"));
    assert_null(strstr(strstr(docs, "### gate") + 1, "### gate"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_of_every_kind),
        cmocka_unit_test(numbers_with_units),
        cmocka_unit_test(malformed_and_out_of_range_values),
        cmocka_unit_test(a_refused_value_changes_nothing),
        cmocka_unit_test(yaml_sets_every_kind),
        cmocka_unit_test(yaml_without_anything),
        cmocka_unit_test(yaml_mistakes_name_file_line_and_key),
        cmocka_unit_test(all_mistakes_are_told_and_the_rest_is_read),
        cmocka_unit_test(a_file_that_cannot_be_read),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(environment_mistakes),
        cmocka_unit_test(printed_config_reads_back),
        cmocka_unit_test(secrets_are_never_printed),
        cmocka_unit_test(help_and_docs_group_by_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
