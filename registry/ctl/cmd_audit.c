#include <inttypes.h>
#include <stdio.h>

#include "registry/ctl/client.h"
#include "registry/ctl/show.h"
#include "registry/ctl/table_print.h"

static const char *const outcomes[] = {"acked",   "written", "stored",    "scheduled",
                                       "expired", "dropped", "duplicate", "dead"};
enum { OUTCOMES = sizeof(outcomes) / sizeof(outcomes[0]) };

static void add_row(struct table_print *table, const json_t *row)
{
    const json_t *partition = json_object_get(row, "partition");
    if (json_is_integer(partition))
        table_print_cellf(table, "%" JSON_INTEGER_FORMAT, json_integer_value(partition));
    else
        table_print_cell(table, show_str(row, "partition", "?"));
    table_print_cell(table, show_str(row, "router", "?"));
    table_print_cellf(table, "%" PRId64, show_int(row, "accepted"));
    for (int i = 0; i < OUTCOMES; i++)
        table_print_cellf(table, "%" PRId64, show_int(json_object_get(row, "outcomes"), outcomes[i]));
    table_print_cellf(table, "%" PRId64, show_int(row, "abandoned"));
    table_print_cellf(table, "%" PRId64, show_int(row, "inFlight"));
    table_print_cellf(table, "%" PRId64, show_int(row, "imbalance"));
}

static void add_verdict(const json_t *document, struct buf *out)
{
    const json_t *faults = json_object_get(document, "faults"), *routers = json_object_get(document, "routers");
    const json_t *total = json_object_get(document, "total");
    if (json_array_size(faults) == 0)
        buf_printf(out,
                   "\nBalanced: %" PRId64 " accepted = %" PRId64 " with an outcome + %" PRId64 " abandoned + %" PRId64
                   " in flight\n",
                   show_int(total, "accepted"), show_int(total, "finished"), show_int(total, "abandoned"),
                   show_int(total, "inFlight"));
    for (size_t i = 0; i < json_array_size(faults); i++) {
        buf_add_str(out, i == 0 ? "\nDoes not add up:\n  " : "  ");
        (void)text_clean(json_string_value(json_array_get(faults, i)), out);
        buf_add_char(out, '\n');
    }
    for (size_t i = 0; i < json_array_size(routers); i++) {
        const json_t *row = json_array_get(routers, i);
        if (json_is_true(json_object_get(row, "isFresh")))
            continue;
        buf_add_str(out, "No fresh accounts of ");
        (void)text_clean(show_str(row, "router", "?"), out);
        buf_add_char(out, '\n');
    }
}

static enum status show(const json_t *document, struct buf *out)
{
    static const struct table_column columns[] = {
        {"PARTITION", false}, {"ROUTER", false}, {"ACCEPTED", true}, {"ACKED", true},     {"WRITTEN", true},
        {"STORED", true},     {"SCHED", true},   {"EXPIRED", true},  {"DROPPED", true},   {"DUPL", true},
        {"DEAD", true},       {"ABAND", true},   {"FLYING", true},   {"IMBALANCE", true},
    };
    const json_t *rows = json_object_get(document, "partitions");
    struct table_print *table = table_print_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < json_array_size(rows); i++)
        add_row(table, json_array_get(rows, i));
    table_print_text(table, out);
    table_print_free(&table);
    add_verdict(document, out);
    return json_is_true(json_object_get(document, "balanced")) ? STATUS_OK : STATUS_NEGATIVE;
}

enum status cmd_audit(const struct arguments *arguments)
{
    return client_run(arguments, "/api/v1/audit", show);
}
