#include <inttypes.h>

#include "registry/ctl/client.h"
#include "registry/ctl/show.h"
#include "registry/ctl/table_print.h"

static enum status show(const json_t *document, struct buf *out)
{
    static const struct table_column columns[] = {{"TOPIC", false}, {"INSTANCES", true}};
    struct table_print *table = table_print_new(columns, 2);
    const json_t *rows = json_object_get(document, "topics");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        table_print_cell(table, show_str(row, "topic", "?"));
        table_print_cellf(table, "%" PRId64, show_int(row, "instances"));
    }
    table_print_text(table, out);
    table_print_free(&table);
    return json_array_size(rows) > 0 ? STATUS_OK : STATUS_NEGATIVE;
}

enum status cmd_topics(const struct arguments *arguments)
{
    return client_run(arguments, "/api/v1/topics", show);
}
