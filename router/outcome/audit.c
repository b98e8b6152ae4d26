#include "router/outcome/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

enum { SPECIAL = 2 }; /* rows 0 and 1: the canaries, the others */

struct audit {
    struct audit_row *rows;
    uint32_t count; /* that there is memory for */
};

struct audit *audit_new(void)
{
    struct audit *audit = xcalloc(1, sizeof(*audit));
    audit->count = SPECIAL;
    audit->rows = xcalloc(audit->count, sizeof(*audit->rows));
    return audit;
}

void audit_free(struct audit **audit)
{
    if (!*audit)
        return;
    free((*audit)->rows);
    free(*audit);
    *audit = NULL;
}

static uint32_t index_of(int32_t partition)
{
    if (partition == AUDIT_CANARY)
        return 0;
    return partition < 0 || partition >= AUDIT_PARTITIONS_MAX ? 1 : (uint32_t)partition + SPECIAL;
}

static struct audit_row *row_of(struct audit *audit, int32_t partition)
{
    uint32_t i = index_of(partition);
    if (i >= audit->count) {
        uint32_t count = (i / 16 + 1) * 16;
        audit->rows = xrealloc(audit->rows, count * sizeof(*audit->rows));
        memset(audit->rows + audit->count, 0, (count - audit->count) * sizeof(*audit->rows));
        audit->count = count;
    }
    return &audit->rows[i];
}

void audit_accepted(struct audit *audit, int32_t partition)
{
    row_of(audit, partition)->accepted++;
}

void audit_finished(struct audit *audit, int32_t partition, enum outcome_kind kind)
{
    row_of(audit, partition)->finished[kind]++;
}

void audit_abandoned(struct audit *audit, int32_t partition)
{
    row_of(audit, partition)->abandoned++;
}

void audit_begin(struct audit *audit)
{
    for (uint32_t i = 0; i < audit->count; i++)
        audit->rows[i].in_flight = 0;
}

void audit_in_flight(struct audit *audit, int32_t partition)
{
    row_of(audit, partition)->in_flight++;
}

int64_t audit_row_imbalance(const struct audit_row *row)
{
    uint64_t known = row->abandoned + row->in_flight;
    for (int kind = 0; kind < OUTCOME_KIND_COUNT; kind++)
        known += row->finished[kind];
    return (int64_t)(row->accepted - known);
}

static bool is_used(const struct audit_row *row)
{
    return row->accepted > 0 || audit_row_imbalance(row) != 0;
}

const struct audit_row *audit_row(const struct audit *audit, int32_t partition)
{
    uint32_t i = index_of(partition);
    return i < audit->count && is_used(&audit->rows[i]) ? &audit->rows[i] : NULL;
}

const struct audit_row *audit_next(const struct audit *audit, uint32_t *cursor, int32_t *partition_r)
{
    while (*cursor < audit->count) {
        uint32_t i = (*cursor)++;
        if (!is_used(&audit->rows[i]))
            continue;
        *partition_r = i == 0 ? AUDIT_CANARY : i == 1 ? AUDIT_OTHERS : (int32_t)(i - SPECIAL);
        return &audit->rows[i];
    }
    return NULL;
}

uint64_t audit_imbalance(const struct audit *audit)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < audit->count; i++)
        total += (uint64_t)llabs(audit_row_imbalance(&audit->rows[i]));
    return total;
}

const char *audit_partition_name(int32_t partition, char *text)
{
    if (partition == AUDIT_CANARY)
        return "canary";
    if (partition == AUDIT_OTHERS)
        return "others";
    snprintf(text, 16, "%" PRId32, partition);
    return text;
}

static void add_outcomes(const struct audit_row *row, struct buf *out)
{
    const char *separator = "";
    buf_add_str(out, ",\"outcomes\":{");
    for (int kind = 0; kind < OUTCOME_KIND_COUNT; kind++) {
        if (row->finished[kind] == 0)
            continue;
        buf_printf(out, "%s\"%s\":%" PRIu64, separator, outcome_label((enum outcome_kind)kind), row->finished[kind]);
        separator = ",";
    }
    buf_add_char(out, '}');
}

static void add_row(const struct audit_row *row, int32_t partition, struct buf *out)
{
    char name[16];
    const char *quote = partition < 0 ? "\"" : "";
    buf_printf(out, "{\"partition\":%s%s%s,\"accepted\":%" PRIu64, quote, audit_partition_name(partition, name), quote,
               row->accepted);
    add_outcomes(row, out);
    buf_printf(out, ",\"abandoned\":%" PRIu64 ",\"inFlight\":%" PRIu64 ",\"imbalance\":%" PRId64 "}", row->abandoned,
               row->in_flight, audit_row_imbalance(row));
}

void audit_add_json(const struct audit *audit, const char *router, uint64_t generation, uint64_t wall_ms,
                    struct buf *out)
{
    uint32_t cursor = 0;
    int32_t partition;
    const struct audit_row *row;
    const char *separator = "";
    buf_add_str(out, "{\"router\":");
    buf_add_json_str(out, router, strlen(router));
    buf_printf(out, ",\"generation\":%" PRIu64 ",\"timestamp\":%" PRIu64 ",\"imbalance\":%" PRIu64 ",\"partitions\":[",
               generation, wall_ms, audit_imbalance(audit));
    while ((row = audit_next(audit, &cursor, &partition))) {
        buf_add_str(out, separator);
        add_row(row, partition, out);
        separator = ",";
    }
    buf_add_str(out, "]}");
}
