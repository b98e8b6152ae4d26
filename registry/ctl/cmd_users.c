#include "registry/ctl/client.h"
#include "registry/ctl/show.h"
#include "registry/ctl/table_print.h"

/* "web-1@gw1-0 phone@gw2-1" */
static void add_devices(struct table_print *table, const json_t *devices)
{
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);
        buf_printf(&text, "%s%s@%s", i > 0 ? " " : "", show_str(device, "device", "(default)"),
                   show_str(device, "instance", "?"));
    }
    table_print_cell(table, text.len > 0 ? text.bytes : "-");
    buf_release(&text);
}

static enum status show(const json_t *document, struct buf *out)
{
    static const struct table_column columns[] = {{"USER", false}, {"STATE", false}, {"DEVICES", false}};
    struct table_print *table = table_print_new(columns, 3);
    const json_t *rows = json_object_get(document, "users");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        table_print_cell(table, show_str(row, "user", "?"));
        table_print_cell(table, json_is_true(json_object_get(row, "online")) ? "online" : "offline");
        add_devices(table, json_object_get(row, "devices"));
    }
    table_print_text(table, out);
    table_print_free(&table);
    return show_int(document, "online") > 0 ? STATUS_OK : STATUS_NEGATIVE;
}

enum status cmd_users(const struct arguments *arguments)
{
    if (!argument_is_given(arguments, ARGUMENT_IDS)) {
        fprintf(stderr, "heraldctl: users needs --ids ID,ID...\n");
        return STATUS_USAGE;
    }
    struct buf path;
    buf_init(&path);
    buf_add_str(&path, "/api/v1/users?ids=");
    url_add_escaped(&path, arguments->values[ARGUMENT_IDS]);
    enum status status = client_run(arguments, path.bytes, show);
    buf_release(&path);
    return status;
}
