#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "registry/ctl/client.h"
#include "registry/ctl/show.h"
#include "registry/ctl/table_print.h"

/* The text, or else its hexadecimal form, which some members have instead. */
static const char *text_or_hex(const json_t *row, const char *name, const char *hex)
{
    return show_str(row, name, show_str(row, hex, "-"));
}

static void add_letter(struct table_print *table, const json_t *row)
{
    char time[32];
    table_print_cell(table, show_str(row, "offset", "?"));
    table_print_cell(table, show_time(show_int(row, "timestamp"), time));
    table_print_cell(table, text_or_hex(row, "reason", "reasonHex"));
    table_print_cell(table, text_or_hex(row, "source", "sourceHex"));
    table_print_cell(table, text_or_hex(row, "key", "keyHex"));
    table_print_cellf(table, "%" PRId64, show_int(row, "bytes"));
}

static size_t add_letters(const json_t *document, struct buf *out)
{
    static const struct table_column columns[] = {{"OFFSET", false}, {"TIME", false}, {"REASON", false},
                                                  {"SOURCE", false}, {"KEY", false},  {"BYTES", true}};
    const json_t *rows = json_object_get(document, "letters");
    struct table_print *table = table_print_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < json_array_size(rows); i++)
        add_letter(table, json_array_get(rows, i));
    if (json_array_size(rows) > 0)
        table_print_text(table, out);
    table_print_free(&table);
    return json_array_size(rows);
}

static enum status show_list(const json_t *document, struct buf *out)
{
    if (add_letters(document, out) > 0)
        return STATUS_OK;
    buf_printf(out, "none (of the newest %" PRId64 ")\n", show_int(document, "scanned"));
    return STATUS_NEGATIVE;
}

static void add_line(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "%-10s ", name);
    (void)text_clean(text, out);
    buf_add_char(out, '\n');
}

static enum status show_one(const json_t *document, struct buf *out)
{
    char time[32];
    const json_t *headers = json_object_get(document, "headers");
    add_line(out, "Offset", show_str(document, "offset", "?"));
    add_line(out, "Time", show_time(show_int(document, "timestamp"), time));
    add_line(out, "Error", text_or_hex(document, "error", "errorHex"));
    add_line(out, "Source", text_or_hex(document, "source", "sourceHex"));
    add_line(out, "Replay id", text_or_hex(document, "replayId", "replayIdHex"));
    add_line(out, "Key", text_or_hex(document, "key", "keyHex"));
    for (size_t i = 0; i < json_array_size(headers); i++) {
        const json_t *header = json_array_get(headers, i);
        struct buf text;
        buf_init(&text);
        buf_printf(&text, "%s: %s", text_or_hex(header, "name", "nameHex"), text_or_hex(header, "value", "valueHex"));
        add_line(out, "Header", text.bytes);
        buf_release(&text);
    }
    buf_printf(out, "Value      %" PRId64 " bytes%s\n", show_int(document, "bytes"),
               json_object_get(document, "valueHex") ? ", in hexadecimal" : "");
    (void)text_clean(text_or_hex(document, "value", "valueHex"), out);
    buf_add_char(out, '\n');
    return STATUS_OK;
}

static enum status show_replay(const json_t *document, struct buf *out)
{
    bool is_dry = json_is_true(json_object_get(document, "dryRun"));
    int64_t failed = show_int(document, "failed"), skipped = show_int(document, "skipped");
    size_t count = add_letters(document, out);
    if (is_dry)
        buf_printf(out, "%zu would be replayed to %s", count, show_str(document, "topic", "?"));
    else
        buf_printf(out, "%" PRId64 " replayed to %s", show_int(document, "replayed"), show_str(document, "topic", "?"));
    if (skipped > 0)
        buf_printf(out, ", %" PRId64 " skipped: they went without their value", skipped);
    if (failed > 0)
        buf_printf(out, ", %" PRId64 " not taken by Kafka", failed);
    buf_add_char(out, '\n');
    if (failed > 0)
        return STATUS_UNREACHABLE;
    return show_int(document, "matched") > 0 ? STATUS_OK : STATUS_NEGATIVE;
}

/* "reason=syntax,key=42" as parts of a query. */
static enum status add_filter(struct buf *path, const char *filter)
{
    static const char *const names[] = {"reason", "key", "source", "offset", NULL};
    while (*filter) {
        size_t len = strcspn(filter, ","), name_len = strcspn(filter, "=");
        int i = 0;
        while (names[i] && (strlen(names[i]) != name_len || strncmp(names[i], filter, name_len) != 0))
            i++;
        if (!names[i] || name_len >= len) {
            fprintf(stderr, "heraldctl: --filter: reason=, key=, source= or offset=, separated by commas: %s\n",
                    filter);
            return STATUS_USAGE;
        }
        char *value = xstrndup(filter + name_len + 1, len - name_len - 1);
        buf_printf(path, "&%s=", names[i]);
        url_add_escaped(path, value);
        free(value);
        filter += len + (filter[len] == ',');
    }
    return STATUS_OK;
}

static enum status add_query(struct buf *path, const struct arguments *arguments)
{
    buf_add_str(path, "?");
    if (argument_is_given(arguments, ARGUMENT_LIMIT)) {
        buf_add_str(path, "limit=");
        url_add_escaped(path, arguments->values[ARGUMENT_LIMIT]);
    }
    if (argument_is_given(arguments, ARGUMENT_DRY_RUN))
        buf_add_str(path, "&dryRun=true");
    return argument_is_given(arguments, ARGUMENT_FILTER) ? add_filter(path, arguments->values[ARGUMENT_FILTER])
                                                         : STATUS_OK;
}

static enum status refuse(void)
{
    fprintf(stderr, "heraldctl: usage: heraldctl dlq %s\n", command_find("dlq")->synopsis);
    return STATUS_USAGE;
}

static enum status show_offset(const struct arguments *arguments, struct buf *path)
{
    for (const char *at = arguments->words[2]; *at; at++)
        if (!strchr("0123456789/", *at))
            return refuse();
    buf_printf(path, "/api/v1/dlq/%s", arguments->words[2]);
    return client_run(arguments, path->bytes, show_one);
}

static enum status run(const struct arguments *arguments, struct buf *path)
{
    const char *what = arguments->words[1];
    bool is_replay = strcmp(what, "replay") == 0;
    if (strcmp(what, "show") == 0)
        return arguments->word_count == 3 ? show_offset(arguments, path) : refuse();
    if ((strcmp(what, "list") != 0 && !is_replay) || arguments->word_count != 2 ||
        (!is_replay && argument_is_given(arguments, ARGUMENT_DRY_RUN)))
        return refuse();
    buf_add_str(path, is_replay ? "/api/v1/dlq/replay" : "/api/v1/dlq");
    enum status status = add_query(path, arguments);
    if (status)
        return status;
    return client_run_as(arguments, is_replay ? "POST" : "GET", path->bytes, is_replay ? show_replay : show_list);
}

enum status cmd_dlq(const struct arguments *arguments)
{
    struct buf path;
    buf_init(&path);
    enum status status = run(arguments, &path);
    buf_release(&path);
    return status;
}
