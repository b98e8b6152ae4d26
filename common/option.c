#include "option.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "option_set.h"
#include "option_value.h"
#include "option_yaml.h"

static const char variable_prefix[] = "HERALD_";

const struct option *option_set_next(const struct option_set *set, struct option_cursor *cursor)
{
    while (set->tables[cursor->table]) {
        const struct option *row = &set->tables[cursor->table][cursor->row];
        if (row->key) {
            cursor->row++;
            return row;
        }
        cursor->table++;
        cursor->row = 0;
    }
    return NULL;
}

const struct option *option_set_find(const struct option_set *set, const char *section, const char *key)
{
    struct option_cursor cursor = {0};
    const struct option *row;
    while ((row = option_set_next(set, &cursor)))
        if (strcmp(row->section, section) == 0 && strcmp(row->key, key) == 0)
            return row;
    return NULL;
}

static const struct option *first_of_section(const struct option_set *set, const char *section)
{
    struct option_cursor cursor = {0};
    const struct option *row;
    while ((row = option_set_next(set, &cursor)))
        if (strcmp(row->section, section) == 0)
            return row;
    return NULL;
}

bool option_set_has_section(const struct option_set *set, const char *section)
{
    return first_of_section(set, section) != NULL;
}

bool option_set_opens_section(const struct option_set *set, const struct option *row)
{
    return first_of_section(set, row->section) == row;
}

static void add_upper(struct buf *out, const char *s)
{
    for (; *s; s++)
        buf_add_char(out, (char)toupper((unsigned char)*s));
}

void option_set_variable(const struct option *row, struct buf *out)
{
    buf_add_str(out, variable_prefix);
    add_upper(out, row->section);
    buf_add_char(out, '_');
    add_upper(out, row->key);
}

static enum err set_row(const struct option_set *set, const struct option *row, const char *text, const char *where,
                        FILE *errors)
{
    struct buf why;
    buf_init(&why);
    enum err err = option_value_parse(row, set->settings, text, &why);
    if (err != ERR_OK)
        fprintf(errors, "%s: %s: %s.%s: %s\n", set->program, where, row->section, row->key, why.bytes);
    buf_release(&why);
    return err;
}

enum err option_set_one(const struct option_set *set, const char *section, const char *key, const char *text,
                        const char *where, FILE *errors)
{
    const struct option *row = option_set_find(set, section, key);
    if (row)
        return set_row(set, row, text, where, errors);
    const char *what = option_set_has_section(set, section) ? "option" : "section";
    fprintf(errors, "%s: %s: %s.%s: unknown %s\n", set->program, where, section, key, what);
    return ERR_INVALID;
}

static void set_fallbacks(const struct option_set *set, FILE *errors)
{
    struct option_cursor cursor = {0};
    const struct option *row;
    while ((row = option_set_next(set, &cursor)))
        CHECK(set_row(set, row, row->fallback, "default", errors) == ERR_OK);
}

/* Is the text "HERALD_GATEWAY_..." for a section of this program? Its name may itself contain '_'. */
static bool is_variable_of_section(const struct option_set *set, const char *variable)
{
    struct option_cursor cursor = {0};
    const struct option *row;
    bool is_ours = false;
    struct buf prefix;
    buf_init(&prefix);
    while (!is_ours && (row = option_set_next(set, &cursor))) {
        buf_clear(&prefix);
        buf_add_str(&prefix, variable_prefix);
        add_upper(&prefix, row->section);
        buf_add_char(&prefix, '_');
        is_ours = strncmp(variable, prefix.bytes, prefix.len) == 0;
    }
    buf_release(&prefix);
    return is_ours;
}

static const struct option *row_of_variable(const struct option_set *set, const char *variable, size_t len)
{
    struct option_cursor cursor = {0};
    const struct option *row, *found = NULL;
    struct buf name;
    buf_init(&name);
    while (!found && (row = option_set_next(set, &cursor))) {
        buf_clear(&name);
        option_set_variable(row, &name);
        if (name.len == len && memcmp(name.bytes, variable, len) == 0)
            found = row;
    }
    buf_release(&name);
    return found;
}

/* Several daemons often share one environment, so what is not ours is no mistake; what looks like ours gets a note. */
static enum err set_variable(const struct option_set *set, const char *variable, FILE *errors)
{
    size_t len = strcspn(variable, "=");
    if (variable[len] == '\0')
        return ERR_OK;
    const struct option *row = row_of_variable(set, variable, len);
    char *name = xstrndup(variable, len);
    enum err err = ERR_OK;
    if (row)
        err = set_row(set, row, variable + len + 1, name, errors);
    else if (is_variable_of_section(set, name))
        fprintf(errors, "%s: %s: names no option of this program, ignored\n", set->program, name);
    free(name);
    return err;
}

static enum err set_environment(const struct option_set *set, char *const *environment, FILE *errors)
{
    enum err err = ERR_OK;
    for (; environment && *environment; environment++)
        if (strncmp(*environment, variable_prefix, sizeof variable_prefix - 1) == 0 &&
            set_variable(set, *environment, errors) != ERR_OK)
            err = ERR_INVALID;
    return err;
}

/* The value is not repeated in messages: it may be a secret. */
static enum err set_assignment(const struct option_set *set, const char *assignment, FILE *errors)
{
    size_t name_len = strcspn(assignment, "=");
    size_t section_len = strcspn(assignment, ".=");
    if (assignment[section_len] != '.' || assignment[name_len] != '=') {
        fprintf(errors, "%s: --set %.*s: expected section.key=value\n", set->program, (int)section_len, assignment);
        return ERR_INVALID;
    }
    char *section = xstrndup(assignment, section_len);
    char *key = xstrndup(assignment + section_len + 1, name_len - section_len - 1);
    enum err err = option_set_one(set, section, key, assignment + name_len + 1, "--set", errors);
    free(section);
    free(key);
    return err;
}

enum err option_load(const struct option_set *set, const char *file, char *const *environment,
                     const char *const *assignments, size_t assignment_count, FILE *errors)
{
    enum err err = ERR_OK;
    set_fallbacks(set, errors);
    if (file && option_yaml_load(set, file, errors) != ERR_OK)
        err = ERR_INVALID;
    if (set_environment(set, environment, errors) != ERR_OK)
        err = ERR_INVALID;
    for (size_t i = 0; i < assignment_count; i++)
        if (set_assignment(set, assignments[i], errors) != ERR_OK)
            err = ERR_INVALID;
    return err;
}

void option_release(const struct option_set *set)
{
    struct option_cursor cursor = {0};
    const struct option *row;
    while ((row = option_set_next(set, &cursor)))
        option_value_release(row, set->settings);
}
