#include "option.h"

#include <string.h>

#include "option_set.h"
#include "option_value.h"

typedef void row_fn(const struct option_set *set, const struct option *row, struct buf *out);

/* All rows, grouped by section in the order in which sections first appear. */
static void each_by_section(const struct option_set *set, row_fn *open_section, row_fn *print, struct buf *out)
{
    struct option_cursor sections = {0};
    const struct option *first, *row;
    while ((first = option_set_next(set, &sections))) {
        if (!option_set_opens_section(set, first))
            continue;
        open_section(set, first, out);
        struct option_cursor rows = {0};
        while ((row = option_set_next(set, &rows)))
            if (strcmp(row->section, first->section) == 0)
                print(set, row, out);
    }
}

static void flush(struct buf *text, FILE *out)
{
    fwrite(text->bytes, 1, text->len, out);
    buf_release(text);
}

static void help_section(const struct option_set *set, const struct option *row, struct buf *out)
{
    (void)set;
    buf_printf(out, "\n%s\n", row->section);
}

static void help_row(const struct option_set *set, const struct option *row, struct buf *out)
{
    (void)set;
    buf_printf(out, "  %s.%s  (", row->section, row->key);
    option_value_format_range(row, out);
    if (row->kind != OPTION_SECRET)
        buf_printf(out, "; default %s", row->fallback[0] ? row->fallback : "empty");
    buf_printf(out, ")\n      %s\n", row->help);
}

void option_print_help(const struct option_set *set, FILE *out)
{
    static const char usage[] =
        "  --config FILE            read this YAML file\n"
        "  --set SECTION.KEY=VALUE  set one option; repeatable, stronger than environment and file\n"
        "  --check-config           read the configuration, say what is wrong, end\n"
        "  --print-config           print the configuration in effect as YAML, end\n"
        "  --config-doc             print the options as Markdown, end\n"
        "  --metrics-doc            print the metrics as Markdown, end\n"
        "  --version, --help\n"
        "\n"
        "Options, by section. Each is also HERALD_<SECTION>_<KEY> in the environment.\n";
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "%s: %s\n\nUsage: %s [--config FILE] [--set SECTION.KEY=VALUE]...\n\n%s", set->program,
               set->summary, set->program, usage);
    each_by_section(set, help_section, help_row, &text);
    flush(&text, out);
}

static void yaml_section(const struct option_set *set, const struct option *row, struct buf *out)
{
    (void)set;
    buf_printf(out, "%s:\n", row->section);
}

static void yaml_list(const struct option_list *list, struct buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_add_str(out, i ? ", " : "");
        option_value_quote(out, list->items[i]);
    }
    buf_add_char(out, ']');
}

static void yaml_row(const struct option_set *set, const struct option *row, struct buf *out)
{
    const char *field = (const char *)set->settings + row->offset;
    if (row->kind == OPTION_SECRET) {
        buf_printf(out, "  # %s: ", row->key);
        option_value_format(row, set->settings, out);
        buf_add_str(out, "; secrets are not printed\n");
        return;
    }
    buf_printf(out, "  %s: ", row->key);
    if (row->kind == OPTION_STRING)
        option_value_quote(out, *(char *const *)(const void *)field);
    else if (row->kind == OPTION_LIST)
        yaml_list((const struct option_list *)(const void *)field, out);
    else
        option_value_format(row, set->settings, out);
    buf_add_char(out, '\n');
}

void option_print_config(const struct option_set *set, FILE *out)
{
    struct buf text;
    buf_init(&text);
    each_by_section(set, yaml_section, yaml_row, &text);
    flush(&text, out);
}

/* A '|' would end the cell. */
static void add_cell(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            buf_add_char(out, '\\');
        buf_add_char(out, *s);
    }
}

static void docs_section(const struct option_set *set, const struct option *row, struct buf *out)
{
    (void)set;
    buf_printf(out, "\n### %s\n\n| option | values | default | meaning |\n|---|---|---|---|\n", row->section);
}

static void docs_row(const struct option_set *set, const struct option *row, struct buf *out)
{
    (void)set;
    struct buf range;
    buf_init(&range);
    option_value_format_range(row, &range);
    buf_printf(out, "| `%s.%s` | ", row->section, row->key);
    add_cell(out, range.bytes);
    buf_release(&range);
    if (row->fallback[0] && row->kind != OPTION_SECRET) {
        buf_add_str(out, " | `");
        add_cell(out, row->fallback);
        buf_add_str(out, "` | ");
    } else {
        buf_add_str(out, " | | ");
    }
    add_cell(out, row->help);
    buf_add_str(out, " |\n");
}

void option_print_docs(const struct option_set *set, FILE *out)
{
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "## %s\n\n%s\n", set->program, set->summary);
    each_by_section(set, docs_section, docs_row, &text);
    flush(&text, out);
}
