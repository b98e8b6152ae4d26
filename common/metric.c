#include "metric.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "metric_block.h"

enum { WORDS_PER_LINE = 16 }; /* two cache lines: neighbours are prefetched in pairs */

const uint64_t metric_latency_bounds[] = {
    100,   200,   300,   500,    750,    1000,   1500,    2000,    3000,    5000,     7500,     10000,    15000, 20000,
    30000, 50000, 75000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000, 30000000, 60000000, 0};

/* Where a metric's words stand in a block. With its kind, so that counting looks at one place only. */
struct cell {
    uint32_t first, count;
    enum metric_kind kind;
};

/* The one set of metrics of the process. */
static struct {
    const struct metric *table;
    struct cell *cells; /* of each metric */
    unsigned count, block_count;
    size_t stride; /* words in a block */
    _Atomic uint64_t *shared, *current;
} metrics;

unsigned metric_value_count(const struct metric *m)
{
    if (!m->label)
        return 1;
    unsigned count = 0;
    while (m->label_values[count])
        count++;
    return count;
}

unsigned metric_bound_count(const struct metric *m)
{
    unsigned count = 0;
    while (m->bounds[count])
        count++;
    return count;
}

bool metric_is_listed(const struct metric *m)
{
    return m->kind == METRIC_LISTED_COUNTER || m->kind == METRIC_LISTED_GAUGE;
}

size_t metric_word_count(const struct metric *m)
{
    if (metric_is_listed(m))
        return 0;
    return m->kind == METRIC_HISTOGRAM ? metric_bound_count(m) + 2 : metric_value_count(m);
}

static void lay_out(const struct metric *table)
{
    size_t words = 0;
    unsigned count = 0;
    while (table[count].name)
        count++;
    metrics.cells = xcalloc(count + 1, sizeof *metrics.cells);
    for (unsigned id = 0; id < count; id++) {
        CHECK(table[id].kind != METRIC_HISTOGRAM || (table[id].bounds && !table[id].label));
        size_t own = metric_word_count(&table[id]);
        metrics.cells[id] = (struct cell){(uint32_t)words, (uint32_t)own, table[id].kind};
        words += own;
    }
    metrics.count = count;
    metrics.stride = (words / WORDS_PER_LINE + 1) * WORDS_PER_LINE;
}

void metric_setup(const struct metric *table, unsigned blocks)
{
    CHECK(blocks > 0);
    if (metrics.shared) /* only tests set up twice */
        munmap(metrics.shared, metrics.block_count * metrics.stride * sizeof *metrics.shared);
    free(metrics.cells);
    lay_out(table);
    size_t size = blocks * metrics.stride * sizeof *metrics.shared;
    void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    metrics.table = table;
    metrics.block_count = blocks;
    metrics.shared = metrics.current = shared;
}

void metric_use_block(unsigned block)
{
    CHECK(block < metrics.block_count);
    metrics.current = metrics.shared + block * metrics.stride;
}

const struct metric *metric_table(void)
{
    CHECK(metrics.table);
    return metrics.table;
}

unsigned metric_block_count(void)
{
    return metrics.block_count;
}

const _Atomic uint64_t *metric_words(unsigned block, unsigned id)
{
    CHECK(block < metrics.block_count && id < metrics.count);
    return metrics.shared + block * metrics.stride + metrics.cells[id].first;
}

/* A block has one writer, so load and store are enough: no locked instruction per count. */
static void raise_word(_Atomic uint64_t *word, uint64_t n)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + n, memory_order_relaxed);
}

static uint64_t load_word(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline _Atomic uint64_t *word_of(_Atomic uint64_t *block, unsigned id, unsigned value)
{
    CHECK(id < metrics.count && value < metrics.cells[id].count);
    return block + metrics.cells[id].first + value;
}

void metric_clear_gauges(unsigned block)
{
    CHECK(block < metrics.block_count);
    for (unsigned id = 0; id < metrics.count; id++) {
        if (metrics.table[id].kind != METRIC_GAUGE)
            continue;
        for (unsigned value = 0; value < metric_value_count(&metrics.table[id]); value++) {
            _Atomic uint64_t *word = word_of(metrics.shared + block * metrics.stride, id, value);
            atomic_store_explicit(word, 0, memory_order_relaxed);
        }
    }
}

void metric_add_labelled(unsigned id, unsigned value, uint64_t n)
{
    _Atomic uint64_t *word = word_of(metrics.current, id, value);
    CHECK(metrics.cells[id].kind == METRIC_COUNTER);
    raise_word(word, n);
}

void metric_add(unsigned id, uint64_t n)
{
    metric_add_labelled(id, 0, n);
}

void metric_set_labelled(unsigned id, unsigned value, int64_t to)
{
    _Atomic uint64_t *word = word_of(metrics.current, id, value);
    CHECK(metrics.cells[id].kind == METRIC_GAUGE);
    atomic_store_explicit(word, (uint64_t)to, memory_order_relaxed);
}

void metric_set(unsigned id, int64_t to)
{
    metric_set_labelled(id, 0, to);
}

void metric_observe(unsigned id, uint64_t amount)
{
    _Atomic uint64_t *words = word_of(metrics.current, id, 0);
    CHECK(metrics.table[id].kind == METRIC_HISTOGRAM);
    const uint64_t *bounds = metrics.table[id].bounds;
    unsigned bucket = 0;
    while (bounds[bucket] && amount > bounds[bucket])
        bucket++;
    raise_word(words + bucket, 1);
    raise_word(words + metrics.cells[id].count - 1, amount); /* the sum stands last */
}

static uint64_t read_block(_Atomic uint64_t *block, unsigned id, unsigned value)
{
    _Atomic uint64_t *word = word_of(block, id, value);
    if (metrics.table[id].kind != METRIC_HISTOGRAM)
        return load_word(word);
    uint64_t observed = 0;
    for (unsigned i = 0; i <= metric_bound_count(&metrics.table[id]); i++)
        observed += load_word(word + i);
    return observed;
}

uint64_t metric_get_labelled(unsigned id, unsigned value)
{
    return read_block(metrics.current, id, value);
}

uint64_t metric_get(unsigned id)
{
    return metric_get_labelled(id, 0);
}

uint64_t metric_read(int block, unsigned id, unsigned value)
{
    CHECK(block < (int)metrics.block_count);
    if (block >= 0)
        return read_block(metrics.shared + (size_t)block * metrics.stride, id, value);
    uint64_t total = 0;
    for (unsigned i = 0; i < metrics.block_count; i++)
        total += read_block(metrics.shared + i * metrics.stride, id, value);
    return total;
}
