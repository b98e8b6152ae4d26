#include <inttypes.h>

#include "registry/ctl/client.h"
#include "registry/ctl/show.h"
#include "registry/ctl/table_print.h"

static void add_device(struct table_print *table, const json_t *row)
{
    char time[32];
    bool is_online = json_is_true(json_object_get(row, "online"));
    table_print_cell(table, show_str(row, "device", "(default)"));
    table_print_cell(table, is_online ? "online" : "offline");
    table_print_cell(table, is_online ? show_str(row, "instance", "-") : "-");
    table_print_cell(table, is_online ? show_time(show_int(row, "sinceMs"), time) : "-");
    table_print_cell(table, show_time(show_int(row, "lastSeenMs"), time));
    table_print_cellf(table, "%" PRId64, show_int(row, "mailbox"));
}

static enum status show(const json_t *document, struct buf *out)
{
    static const struct table_column columns[] = {{"DEVICE", false}, {"STATE", false},     {"INSTANCE", false},
                                                  {"SINCE", false},  {"LAST SEEN", false}, {"MAILBOX", true}};
    bool is_online = json_is_true(json_object_get(document, "online"));
    buf_add_str(out, "User     ");
    (void)text_clean(show_str(document, "user", "?"), out);
    buf_printf(out, "\nState    %s\nMailbox  %" PRId64 "\n", is_online ? "online" : "offline",
               show_int(document, "mailbox"));
    const json_t *rows = json_object_get(document, "devices");
    if (json_array_size(rows) == 0)
        return STATUS_OK;
    buf_add_char(out, '\n');
    struct table_print *table = table_print_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < json_array_size(rows); i++)
        add_device(table, json_array_get(rows, i));
    table_print_text(table, out);
    table_print_free(&table);
    return STATUS_OK;
}

enum status cmd_user(const struct arguments *arguments)
{
    struct buf path;
    buf_init(&path);
    buf_add_str(&path, "/api/v1/users/");
    url_add_escaped(&path, arguments->words[1]);
    enum status status = client_run(arguments, path.bytes, show);
    buf_release(&path);
    return status;
}
