#include "router/outcome/audit_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "router/metrics.h"

enum { REPORT_MAGIC = 0x41554454, EVERY_MS = 2000, KEY_MAX = 400 };
#define LIFE_MS "10000"

struct audit_report {
    uint32_t magic;
    struct loop *loop;
    struct redis *redis;
    const char *router;
    uint64_t generation;
    audit_now_fn *now;
    void *arg;
    struct loop_timer *timer;
    struct buf json;
};

static struct audit *look(struct audit_report *report)
{
    struct audit *audit = report->now(report->arg);
    uint64_t imbalance = audit_imbalance(audit);
    metric_set(METRIC_AUDIT_IMBALANCE, (int64_t)imbalance);
    if (imbalance > 0)
        log_limited(LOG_ERROR, "the accounts do not add up", F_UINT("imbalance", imbalance));
    return audit;
}

static void write_json(struct audit_report *report)
{
    buf_clear(&report->json);
    audit_add_json(look(report), report->router, report->generation, loop_wall_ms(report->loop), &report->json);
}

static void publish(void *arg)
{
    struct audit_report *report = arg;
    MAGIC_CHECK(report, REPORT_MAGIC);
    char key[KEY_MAX];
    if (!redis_is_up(report->redis))
        return;
    write_json(report);
    snprintf(key, sizeof(key), "herald:audit:%s", report->router);
    if (redis_words(report->redis, NULL, NULL, "SET", key, report->json.bytes, "PX", LIFE_MS, NULL) != ERR_OK)
        log_debug("accounts not published");
}

static void serve(struct admin_request *request, void *arg)
{
    struct audit_report *report = arg;
    MAGIC_CHECK(report, REPORT_MAGIC);
    write_json(report);
    admin_reply(request, 200, "application/json", report->json.bytes, report->json.len);
}

static void add_sample(struct buf *out, const char *name, int32_t partition, const char *outcome, uint64_t value)
{
    char text[16];
    buf_printf(out, "%s{partition=\"%s\"", name, audit_partition_name(partition, text));
    if (outcome)
        buf_printf(out, ",outcome=\"%s\"", outcome);
    buf_printf(out, "} %" PRIu64 "\n", value);
}

static void add_finished(struct buf *out, const char *name, int32_t partition, const struct audit_row *row)
{
    for (int kind = 0; kind < OUTCOME_KIND_COUNT; kind++)
        if (row->finished[kind] > 0)
            add_sample(out, name, partition, outcome_label((enum outcome_kind)kind), row->finished[kind]);
}

static void list(void *arg, unsigned metric, const char *name, struct buf *out)
{
    struct audit_report *report = arg;
    MAGIC_CHECK(report, REPORT_MAGIC);
    const struct audit *audit = look(report);
    const struct audit_row *row;
    uint32_t cursor = 0;
    int32_t partition;
    while ((row = audit_next(audit, &cursor, &partition))) {
        if (metric == METRIC_PARTITION_FINISHED)
            add_finished(out, name, partition, row);
        else
            add_sample(out, name, partition, NULL,
                       metric == METRIC_PARTITION_ACCEPTED    ? row->accepted
                       : metric == METRIC_PARTITION_ABANDONED ? row->abandoned
                                                              : row->in_flight);
    }
}

struct audit_report *audit_report_new(struct loop *loop, struct redis *redis, struct admin *admin, const char *router,
                                      uint64_t generation, audit_now_fn *now, void *arg)
{
    struct audit_report *report = xcalloc(1, sizeof(*report));
    *report = (struct audit_report){.magic = REPORT_MAGIC,
                                    .loop = loop,
                                    .redis = redis,
                                    .router = router,
                                    .generation = generation,
                                    .now = now,
                                    .arg = arg};
    buf_init(&report->json);
    admin_route(admin, "GET", "/audit", serve, report);
    metric_on_list(list, report);
    report->timer = loop_timer_new(loop, publish, report);
    loop_timer_start(report->timer, EVERY_MS / 4, EVERY_MS);
    return report;
}

void audit_report_free(struct audit_report **report_p)
{
    struct audit_report *report = *report_p;
    if (!report)
        return;
    metric_on_list(NULL, NULL);
    loop_timer_free(&report->timer);
    buf_release(&report->json);
    report->magic = 0;
    free(report);
    *report_p = NULL;
}
