#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "registry/ctl/table_print.h"

static const struct table_column columns[] = {{"NAME", false}, {"COUNT", true}, {"NOTE", false}};

static void check(const char *const *cells, size_t count, const char *expected)
{
    struct buf out;
    buf_init(&out);
    struct table_print *table = table_print_new(columns, 3);
    for (size_t i = 0; i < count; i++)
        table_print_cell(table, cells[i]);
    table_print_text(table, &out);
    assert_string_equal(out.bytes, expected);
    table_print_free(&table);
    assert_null(table);
    buf_release(&out);
}

static void titles_stand_alone_when_there_are_no_rows(void **state)
{
    (void)state;
    check(NULL, 0, "NAME  COUNT  NOTE\n");
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    const char *const cells[] = {"a", "1", "x", "longer", "1234567", "yy"};
    check(cells, 6,
          "NAME      COUNT  NOTE\n"
          "a             1  x\n"
          "longer  1234567  yy\n");
}

static void last_row_may_be_short(void **state)
{
    (void)state;
    const char *const cells[] = {"a", "1", "x", "b"};
    check(cells, 4,
          "NAME  COUNT  NOTE\n"
          "a         1  x\n"
          "b            \n");
}

static void widths_count_characters(void **state)
{
    (void)state;
    const char *const cells[] = {"j\xc3\xbcrgen", "1", "", "abcdef", "2", ""};
    check(cells, 6,
          "NAME    COUNT  NOTE\n"
          "j\xc3\xbcrgen      1  \n"
          "abcdef      2  \n");
}

/* What a user is called must not steer the operator's terminal. */
static void control_characters_and_broken_utf8_are_cleaned(void **state)
{
    (void)state;
    const char *const cells[] = {"\033[2Ja", "\xff",
                                 "\xc2\x9b"
                                 "b\n"};
    check(cells, 3,
          "NAME   COUNT  NOTE\n"
          "?[2Ja      ?  ?b?\n");
}

static void formats_cells(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    struct table_print *table = table_print_new(columns, 3);
    table_print_cellf(table, "%s-%d", "gw", 1);
    table_print_text(table, &out);
    assert_non_null(strstr(out.bytes, "gw-1"));
    table_print_free(&table);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(titles_stand_alone_when_there_are_no_rows),
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(last_row_may_be_short),
        cmocka_unit_test(widths_count_characters),
        cmocka_unit_test(control_characters_and_broken_utf8_are_cleaned),
        cmocka_unit_test(formats_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
