#include "registry/ctl/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct argument_row argument_rows[] = {
#define X(name, text, value, help) {text, value, help},
    ARGUMENT_LIST(X)
#undef X
};

static int find(const char *name, size_t len)
{
    for (int i = 0; i < ARGUMENT_COUNT_; i++) {
        if (strlen(argument_rows[i].name) == len && strncmp(argument_rows[i].name, name, len) == 0)
            return i;
    }
    return -1;
}

/* Takes the option at argv[*at], and its value where that stands behind it. */
static enum err take_option(int argc, char **argv, int *at, struct arguments *a, struct buf *why)
{
    const char *name = argv[*at] + 2;
    size_t len = strcspn(name, "=");
    int option = find(name, len);
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    if (option < 0) {
        buf_printf(why, "there is no option --%.*s", (int)len, name);
        return ERR_INVALID;
    }
    if (!argument_rows[option].value && value) {
        buf_printf(why, "--%s takes no value", argument_rows[option].name);
        return ERR_INVALID;
    }
    if (argument_rows[option].value && !value) {
        if (*at + 1 >= argc) {
            buf_printf(why, "--%s needs a value: %s", argument_rows[option].name, argument_rows[option].value);
            return ERR_INVALID;
        }
        value = argv[++*at];
    }
    a->values[option] = value ? value : "";
    a->given |= 1u << option;
    return ERR_OK;
}

static const char *long_form(const char *text)
{
    if (strcmp(text, "-h") == 0)
        return "--help";
    return strcmp(text, "-V") == 0 ? "--version" : text;
}

enum err arguments_parse(int argc, char **argv, struct arguments *a, struct buf *why)
{
    bool is_words_only = false;
    *a = (struct arguments){0};
    for (int i = 1; i < argc; i++) {
        argv[i] = (char *)long_form(argv[i]);
        if (!is_words_only && strcmp(argv[i], "--") == 0) {
            is_words_only = true;
        } else if (!is_words_only && strncmp(argv[i], "--", 2) == 0) {
            if (take_option(argc, argv, &i, a, why) != ERR_OK)
                return ERR_INVALID;
        } else if (!is_words_only && argv[i][0] == '-' && argv[i][1]) {
            buf_printf(why, "there is no option %s", argv[i]);
            return ERR_INVALID;
        } else if (a->word_count == ARGUMENT_WORDS_MAX) {
            buf_add_str(why, "too many words");
            return ERR_INVALID;
        } else {
            a->words[a->word_count++] = argv[i];
        }
    }
    return ERR_OK;
}

bool argument_is_given(const struct arguments *a, enum argument argument)
{
    return a->given >> argument & 1;
}

enum err time_parse(const char *text, uint64_t *ms_r)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *unit;
    if (*text < '0' || *text > '9')
        return ERR_INVALID;
    errno = 0;
    unsigned long long number = strtoull(text, &unit, 10);
    if (errno || number > UINT64_MAX / 86400000)
        return ERR_INVALID;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].unit) == 0) {
            *ms_r = number * units[i].ms;
            return ERR_OK;
        }
    }
    return ERR_INVALID;
}

enum err argument_time(const struct arguments *a, enum argument argument, uint64_t fallback_ms, uint64_t min_ms,
                       uint64_t max_ms, uint64_t *ms_r)
{
    *ms_r = fallback_ms;
    if (!argument_is_given(a, argument))
        return ERR_OK;
    if (time_parse(a->values[argument], ms_r) == ERR_OK && *ms_r >= min_ms && *ms_r <= max_ms)
        return ERR_OK;
    fprintf(stderr, "heraldctl: --%s: not a time in range: %s (90s, 30m, 12h ...)\n", argument_rows[argument].name,
            a->values[argument]);
    return ERR_INVALID;
}
