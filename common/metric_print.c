#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "metric.h"
#include "metric_block.h"

static const char *const kind_names[] = {[METRIC_COUNTER] = "counter",
                                         [METRIC_GAUGE] = "gauge",
                                         [METRIC_HISTOGRAM] = "histogram",
                                         [METRIC_LISTED_COUNTER] = "counter",
                                         [METRIC_LISTED_GAUGE] = "gauge"};

/* The one who prints LISTED metrics. */
static struct {
    metric_list_fn *fn;
    void *arg;
} lister;

void metric_on_list(metric_list_fn *fn, void *arg)
{
    lister.fn = fn;
    lister.arg = arg;
}

static bool is_in_seconds(const struct metric *m)
{
    static const char ending[] = "_seconds";
    size_t len = strlen(m->name), ending_len = sizeof ending - 1;
    return len > ending_len && strcmp(m->name + len - ending_len, ending) == 0;
}

/* HELP text escapes backslash and newline; label values the quote besides. */
static void add_escaped(struct buf *out, const char *s, bool is_label)
{
    for (; *s; s++) {
        if (*s == '\n')
            buf_add_str(out, "\\n");
        else if (*s == '\\' || (is_label && *s == '"'))
            buf_printf(out, "\\%c", *s);
        else
            buf_add_char(out, *s);
    }
}

static void add_label(struct buf *out, char *separator, const char *name, const char *value)
{
    buf_add_char(out, *separator);
    buf_printf(out, "%s=\"", name);
    add_escaped(out, value, true);
    buf_add_char(out, '"');
    *separator = ',';
}

/* {slot="0",name="value"}, or nothing when there is neither. */
static void add_labels(struct buf *out, unsigned block, const char *name, const char *value)
{
    char separator = '{';
    if (metric_block_count() > 1) {
        buf_printf(out, "%cslot=\"%u\"", separator, block);
        separator = ',';
    }
    if (name)
        add_label(out, &separator, name, value);
    if (separator == ',')
        buf_add_char(out, '}');
    buf_add_char(out, ' ');
}

/* Microseconds as decimal seconds without needless zeros; other amounts as they are. */
static void add_amount(struct buf *out, const struct metric *m, uint64_t amount)
{
    if (!is_in_seconds(m)) {
        buf_add_uint(out, amount);
        return;
    }
    buf_printf(out, "%" PRIu64 ".%06" PRIu64, amount / 1000000, amount % 1000000);
    while (out->bytes[out->len - 1] == '0')
        out->bytes[--out->len] = '\0';
    if (out->bytes[out->len - 1] == '.')
        out->bytes[--out->len] = '\0';
}

static void print_bucket(struct buf *out, const struct metric *m, unsigned block, unsigned bucket, uint64_t count)
{
    struct buf bound;
    buf_init(&bound);
    if (m->bounds[bucket])
        add_amount(&bound, m, m->bounds[bucket]);
    else
        buf_add_str(&bound, "+Inf");
    buf_printf(out, "%s_bucket", m->name);
    add_labels(out, block, "le", bound.bytes);
    buf_add_uint(out, count);
    buf_add_char(out, '\n');
    buf_release(&bound);
}

/* The count is the sum of the buckets as read here, so the two agree while another process goes on observing. */
static void print_histogram(struct buf *out, const struct metric *m, unsigned block, const _Atomic uint64_t *words)
{
    unsigned bound_count = metric_bound_count(m);
    uint64_t count = 0;
    for (unsigned i = 0; i <= bound_count; i++) {
        count += atomic_load_explicit(words + i, memory_order_relaxed);
        print_bucket(out, m, block, i, count);
    }
    buf_printf(out, "%s_sum", m->name);
    add_labels(out, block, NULL, NULL);
    add_amount(out, m, atomic_load_explicit(words + bound_count + 1, memory_order_relaxed));
    buf_printf(out, "\n%s_count", m->name);
    add_labels(out, block, NULL, NULL);
    buf_add_uint(out, count);
    buf_add_char(out, '\n');
}

static void print_values(struct buf *out, const struct metric *m, unsigned block, const _Atomic uint64_t *words)
{
    for (unsigned value = 0; value < metric_value_count(m); value++) {
        uint64_t word = atomic_load_explicit(words + value, memory_order_relaxed);
        buf_add_str(out, m->name);
        add_labels(out, block, m->label, m->label ? m->label_values[value] : NULL);
        if (m->kind == METRIC_GAUGE)
            buf_add_int(out, (int64_t)word);
        else
            buf_add_uint(out, word);
        buf_add_char(out, '\n');
    }
}

static void print_head(struct buf *out, const struct metric *m)
{
    buf_printf(out, "# HELP %s ", m->name);
    add_escaped(out, m->help, false);
    buf_printf(out, "\n# TYPE %s %s\n", m->name, kind_names[m->kind]);
}

static void print_metric(struct buf *out, const struct metric *m, unsigned id)
{
    print_head(out, m);
    if (metric_is_listed(m)) {
        if (lister.fn)
            lister.fn(lister.arg, id, m->name, out);
        return;
    }
    for (unsigned block = 0; block < metric_block_count(); block++) {
        const _Atomic uint64_t *words = metric_words(block, id);
        if (m->kind == METRIC_HISTOGRAM)
            print_histogram(out, m, block, words);
        else
            print_values(out, m, block, words);
    }
}

void metric_print(struct buf *out)
{
    const struct metric *table = metric_table();
    for (unsigned id = 0; table[id].name; id++)
        print_metric(out, &table[id], id);
}

void metric_print_own(const struct metric *m, const uint64_t *values, struct buf *out)
{
    print_head(out, m);
    for (unsigned value = 0; m->label_values[value]; value++)
        buf_printf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", m->name, m->label, m->label_values[value], values[value]);
}

static void add_cell(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            buf_add_char(out, '\\');
        buf_add_char(out, *s == '\n' ? ' ' : *s);
    }
}

void metric_print_docs_head(struct buf *out)
{
    buf_add_str(out, "| metric | kind | labels | meaning |\n|---|---|---|---|\n");
}

void metric_print_docs(const struct metric *table, struct buf *out)
{
    for (const struct metric *m = table; m->name; m++) {
        buf_printf(out, "| `%s` | %s | ", m->name, kind_names[m->kind]);
        if (metric_is_listed(m))
            buf_add_str(out, m->label);
        for (unsigned i = 0; !metric_is_listed(m) && m->label && m->label_values[i]; i++) {
            buf_add_str(out, i ? ", " : m->label);
            buf_add_str(out, i ? "" : ": ");
            add_cell(out, m->label_values[i]);
        }
        buf_add_str(out, m->label ? " | " : "| ");
        add_cell(out, m->help);
        buf_add_str(out, " |\n");
    }
}
