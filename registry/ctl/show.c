#include "registry/ctl/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "registry/ctl/table_print.h"

enum { SPAN_TEXT = 24, TIME_TEXT = 32 };

const char *show_str(const json_t *object, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && *text ? text : fallback;
}

int64_t show_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

double show_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

const char *show_span(int64_t ms, char *text)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (ms >= units[i].ms) {
            snprintf(text, SPAN_TEXT, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
            return text;
        }
    }
    snprintf(text, SPAN_TEXT, "%" PRId64 "ms", ms);
    return text;
}

const char *show_time(int64_t unix_ms, char *text)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    if (unix_ms <= 0 || !localtime_r(&seconds, &parts) || !strftime(text, TIME_TEXT, "%Y-%m-%d %H:%M:%S", &parts))
        return "-";
    return text;
}

static void add_instance(struct table_print *table, const json_t *row, int64_t now_ms)
{
    char span[SPAN_TEXT];
    int64_t started_ms = show_int(row, "startedMs");
    const char *state = show_str(row, "state", "?");
    bool is_live = json_object_get(row, "heartbeatAgeMs") != NULL;
    table_print_cell(table, show_str(row, "instance", "?"));
    table_print_cell(table, show_str(row, "role", "-"));
    table_print_cell(table, state);
    table_print_cell(table, show_span(show_int(row, is_live ? "heartbeatAgeMs" : "deadForMs"), span));
    if (!is_live || started_ms == 0) {
        for (int i = 0; i < 7; i++)
            table_print_cell(table, "-");
    } else {
        table_print_cell(table, show_span(now_ms > started_ms ? now_ms - started_ms : 0, span));
        table_print_cellf(table, "%" PRId64, show_int(row, "connections"));
        table_print_cellf(table, "%" PRId64, show_int(row, "users"));
        table_print_cellf(table, "%.1f", show_real(row, "inPerSecond"));
        table_print_cellf(table, "%.1f", show_real(row, "outPerSecond"));
        table_print_cellf(table, "%.1f%%", show_real(row, "load") * 100);
        table_print_cell(table, show_str(row, "version", "-"));
    }
    table_print_cell(table, show_str(row, "url", show_str(row, "admin", "-")));
}

enum status show_instances(const json_t *document, struct buf *out)
{
    static const struct table_column columns[] = {
        {"INSTANCE", false}, {"ROLE", false}, {"STATE", false}, {"SEEN", true}, {"UPTIME", true},   {"CONNS", true},
        {"USERS", true},     {"IN/S", true},  {"OUT/S", true},  {"CPU", true},  {"VERSION", false}, {"ADDRESS", false},
    };
    struct table_print *table = table_print_new(columns, sizeof(columns) / sizeof(columns[0]));
    const json_t *rows = json_object_get(document, "instances");
    for (size_t i = 0; i < json_array_size(rows); i++)
        add_instance(table, json_array_get(rows, i), show_int(document, "timestamp"));
    table_print_text(table, out);
    table_print_free(&table);
    return json_array_size(rows) > 0 ? STATUS_OK : STATUS_NEGATIVE;
}

/* "name 3, other 1" */
static void add_versions(struct buf *out, const json_t *versions)
{
    const char *separator = "", *name;
    json_t *count;
    json_object_foreach((json_t *)versions, name, count)
    {
        buf_add_str(out, separator);
        (void)text_clean(*name ? name : "?", out);
        buf_printf(out, " x%" PRId64, (int64_t)json_integer_value(count));
        separator = ", ";
    }
}

static void add_leader(struct buf *out, const json_t *document)
{
    const json_t *leader = json_object_get(document, "leader");
    buf_add_str(out, "Leader       ");
    (void)text_clean(show_str(leader, "id", "none"), out);
    buf_add_str(out, "   asked ");
    (void)text_clean(show_str(document, "registry", "?"), out);
    buf_printf(out, "   members version %" PRId64 "%s\n", show_int(document, "membersVersion"),
               json_is_false(json_object_get(document, "redisUp")) ? "   REDIS IS AWAY" : "");
}

enum status show_stats(const json_t *document, struct buf *out)
{
    const json_t *cluster = json_object_get(document, "cluster"), *live = json_object_get(document, "live");
    buf_printf(out, "Users        %" PRId64 "   sessions %" PRId64 "   connections %" PRId64 "\n",
               show_int(cluster, "users"), show_int(cluster, "sessions"), show_int(cluster, "connections"));
    buf_printf(out, "Clients      %.1f frames in/s   %.1f frames out/s\n", show_real(cluster, "inPerSecond"),
               show_real(cluster, "outPerSecond"));
    buf_printf(out, "Routers      %.1f records/s   %.1f deliveries/s\n", show_real(cluster, "consumedPerSecond"),
               show_real(cluster, "deliveriesPerSecond"));
    buf_printf(out,
               "Instances    %" PRId64 " gateways   %" PRId64 " routers   %" PRId64 " registries   %" PRId64
               " draining   %" PRId64 " dead\n",
               show_int(live, "gateways"), show_int(live, "routers"), show_int(live, "registries"),
               show_int(live, "draining"), show_int(live, "dead"));
    add_leader(out, document);
    buf_add_str(out, "Versions     ");
    add_versions(out, json_object_get(document, "versions"));
    buf_add_char(out, '\n');
    return STATUS_OK;
}
