#include "option_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: a number is printed in the largest unit that divides it. */
static const struct unit size_units[] = {{"TiB", 1LL << 40}, {"GiB", 1LL << 30}, {"MiB", 1LL << 20},
                                         {"KiB", 1LL << 10}, {"B", 1},           {NULL, 0}};
static const struct unit duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                             {"s", 1000},     {"ms", 1},      {NULL, 0}};

static void *field_of(const struct option *row, void *settings)
{
    return (char *)settings + row->offset;
}

static const void *const_field_of(const struct option *row, const void *settings)
{
    return (const char *)settings + row->offset;
}

static bool has_limits(const struct option *row)
{
    return row->min != 0 || row->max != 0;
}

static enum err reject(struct buf *why, const char *text, const char *expected)
{
    buf_printf(why, "\"%.80s\" is not %s", text, expected);
    return ERR_INVALID;
}

/* The digits at the head of text; rest_r is what follows them. */
static bool parse_digits(const char *text, int64_t *number_r, const char **rest_r)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (digits[0] < '0' || digits[0] > '9')
        return false;
    char *end;
    errno = 0;
    *number_r = strtoll(text, &end, 10);
    *rest_r = end;
    return errno == 0;
}

static bool parse_unit(const struct unit *units, const char *name, int64_t *number)
{
    for (const struct unit *u = units; u->name; u++)
        if (strcmp(u->name, name) == 0)
            return !__builtin_mul_overflow(*number, u->factor, number);
    return false;
}

static bool parse_number(enum option_kind kind, const char *text, int64_t *number_r)
{
    const char *rest;
    if (!parse_digits(text, number_r, &rest))
        return false;
    if (kind == OPTION_INT)
        return *rest == '\0';
    if (*number_r < 0)
        return false;
    if (kind == OPTION_SIZE)
        return *rest == '\0' || parse_unit(size_units, rest, number_r);
    /* a bare number of what? only nothing is the same in all units */
    return (*rest == '\0' && *number_r == 0) || parse_unit(duration_units, rest, number_r);
}

static enum err set_number(const struct option *row, int64_t *field, const char *text, struct buf *why)
{
    static const char *const expected[] = {
        [OPTION_INT] = "an integer",
        [OPTION_SIZE] = "a size (64KiB, 1MiB, 2GiB or plain bytes)",
        [OPTION_DURATION] = "a duration (500ms, 30s, 5m, 12h, 7d)",
    };
    int64_t number;
    if (!parse_number(row->kind, text, &number))
        return reject(why, text, expected[row->kind]);
    if (has_limits(row) && (number < row->min || number > row->max)) {
        buf_printf(why, "%s is out of range (", text);
        option_value_format_number(row->kind, row->min, why);
        buf_add_str(why, "..");
        option_value_format_number(row->kind, row->max, why);
        buf_add_char(why, ')');
        return ERR_INVALID;
    }
    *field = number;
    return ERR_OK;
}

static enum err set_bool(bool *field, const char *text, struct buf *why)
{
    static const char *const names[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *field = i % 2 == 1;
            return ERR_OK;
        }
    }
    return reject(why, text, "true or false");
}

static enum err set_choice(const struct option *row, int *field, const char *text, struct buf *why)
{
    size_t len = strlen(text);
    int index = 0;
    for (const char *at = row->choices;; index++) {
        size_t choice_len = strcspn(at, "|");
        if (choice_len == len && memcmp(at, text, len) == 0) {
            *field = index;
            return ERR_OK;
        }
        if (at[choice_len] == '\0')
            break;
        at += choice_len + 1;
    }
    buf_printf(why, "\"%.80s\" is none of %s", text, row->choices);
    return ERR_INVALID;
}

static void set_string(char **field, const char *text)
{
    char *copy = xstrdup(text);
    free(*field);
    *field = copy;
}

static void list_release(struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct option_list){0};
}

static void list_add(struct option_list *list, const char *item, size_t len)
{
    list->items = xrealloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = xstrndup(item, len);
}

/* Blanks around an item and empty items do not count. */
static void set_list_text(struct option_list *field, const char *text)
{
    struct option_list list = {0};
    for (const char *at = text; *at;) {
        const char *end = at + strcspn(at, ",");
        const char *from = at + strspn(at, " \t");
        const char *to = end;
        while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
            to--;
        if (to > from)
            list_add(&list, from, (size_t)(to - from));
        at = *end ? end + 1 : end;
    }
    list_release(field);
    *field = list;
}

enum err option_value_parse(const struct option *row, void *settings, const char *text, struct buf *why)
{
    void *field = field_of(row, settings);
    switch (row->kind) {
    case OPTION_STRING:
    case OPTION_SECRET:
        set_string(field, text);
        return ERR_OK;
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        return set_number(row, field, text, why);
    case OPTION_BOOL:
        return set_bool(field, text, why);
    case OPTION_CHOICE:
        return set_choice(row, field, text, why);
    case OPTION_LIST:
        break;
    }
    set_list_text(field, text);
    return ERR_OK;
}

void option_value_set_list(const struct option *row, void *settings, const char *const *items, size_t count)
{
    CHECK(row->kind == OPTION_LIST);
    struct option_list *field = field_of(row, settings);
    list_release(field);
    for (size_t i = 0; i < count; i++)
        list_add(field, items[i], strlen(items[i]));
}

void option_value_release(const struct option *row, void *settings)
{
    void *field = field_of(row, settings);
    if (row->kind == OPTION_LIST) {
        list_release(field);
    } else if (row->kind == OPTION_STRING || row->kind == OPTION_SECRET) {
        char **string = field;
        if (*string && row->kind == OPTION_SECRET)
            explicit_bzero(*string, strlen(*string));
        free(*string);
        *string = NULL;
    }
}

void option_value_format_number(enum option_kind kind, int64_t number, struct buf *out)
{
    const struct unit *units = kind == OPTION_SIZE ? size_units : duration_units;
    if (kind == OPTION_INT || number == 0) {
        buf_add_int(out, number);
        return;
    }
    while (number % units->factor != 0)
        units++;
    buf_add_int(out, number / units->factor);
    if (kind == OPTION_DURATION || units->factor > 1)
        buf_add_str(out, units->name);
}

static void format_choice(const char *choices, int index, struct buf *out)
{
    while (index-- > 0)
        choices += strcspn(choices, "|") + 1;
    buf_add(out, choices, strcspn(choices, "|"));
}

static void format_list(const struct option_list *list, struct buf *out)
{
    for (size_t i = 0; i < list->count; i++) {
        buf_add_str(out, i ? "," : "");
        buf_add_str(out, list->items[i]);
    }
}

void option_value_format(const struct option *row, const void *settings, struct buf *out)
{
    const void *field = const_field_of(row, settings);
    switch (row->kind) {
    case OPTION_STRING:
        buf_add_str(out, *(char *const *)field);
        return;
    case OPTION_SECRET:
        buf_add_str(out, (*(char *const *)field)[0] ? "(set)" : "(not set)");
        return;
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        option_value_format_number(row->kind, *(const int64_t *)field, out);
        return;
    case OPTION_BOOL:
        buf_add_str(out, *(const bool *)field ? "true" : "false");
        return;
    case OPTION_CHOICE:
        format_choice(row->choices, *(const int *)field, out);
        return;
    case OPTION_LIST:
        format_list(field, out);
        return;
    }
}

void option_value_format_range(const struct option *row, struct buf *out)
{
    static const char *const names[] = {
        [OPTION_STRING] = "string", [OPTION_SECRET] = "secret",        [OPTION_INT] = "integer",
        [OPTION_SIZE] = "size",     [OPTION_DURATION] = "duration",    [OPTION_BOOL] = "true or false",
        [OPTION_CHOICE] = "",       [OPTION_LIST] = "list of strings",
    };
    buf_add_str(out, row->kind == OPTION_CHOICE ? row->choices : names[row->kind]);
    bool is_number = row->kind == OPTION_INT || row->kind == OPTION_SIZE || row->kind == OPTION_DURATION;
    if (!is_number || !has_limits(row))
        return;
    buf_add_str(out, ", ");
    option_value_format_number(row->kind, row->min, out);
    buf_add_str(out, "..");
    option_value_format_number(row->kind, row->max, out);
}

void option_value_quote(struct buf *out, const char *s)
{
    buf_add_char(out, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            buf_add_char(out, '\\');
            buf_add_char(out, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(out, "\\x%02X", c);
        } else {
            buf_add_char(out, (char)c);
        }
    }
    buf_add_char(out, '"');
}
