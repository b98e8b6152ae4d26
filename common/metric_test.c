#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "metric.h"

enum { FRAMES, CLOSES, OPEN, WAIT, SIZES };

static const char *const reasons[] = {"peer", "quote\"back\\slash\nline", NULL};
static const uint64_t size_bounds[] = {10, 100, 0};
static const uint64_t wait_bounds[] = {100, 1500, 2000000, 0};
static const struct metric table[] = {
    {"herald_test_frames_total", METRIC_COUNTER, "Frames \\ out,\nall of them.", NULL, NULL, NULL},
    {"herald_test_closes_total", METRIC_COUNTER, "Closes.", "reason", reasons, NULL},
    {"herald_test_open", METRIC_GAUGE, "Open now.", NULL, NULL, NULL},
    {"herald_test_wait_seconds", METRIC_HISTOGRAM, "Waits.", NULL, NULL, wait_bounds},
    {"herald_test_size_bytes", METRIC_HISTOGRAM, "Sizes.", NULL, NULL, size_bounds},
    {0},
};

static struct buf text;

static const char *print(void)
{
    buf_clear(&text);
    metric_print(&text);
    return text.bytes;
}

static unsigned count_of(const char *part)
{
    unsigned count = 0;
    for (const char *at = text.bytes; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static void assert_line(const char *line)
{
    char whole[256];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (!strstr(text.bytes, whole))
        fail_msg("no line \"%s\" in:\n%s", line, text.bytes);
}

static void one_block_prints_without_slot(void **state)
{
    (void)state;
    metric_setup(table, 1);
    metric_add(FRAMES, 3);
    metric_add(FRAMES, 1);
    metric_add_labelled(CLOSES, 1, 2);
    metric_set(OPEN, -5);
    print();
    assert_memory_equal(text.bytes, "# HELP ", 7);
    assert_line("# TYPE herald_test_frames_total counter");
    assert_line("herald_test_frames_total 4");
    assert_line("herald_test_closes_total{reason=\"peer\"} 0");
    assert_line("herald_test_closes_total{reason=\"quote\\\"back\\\\slash\\nline\"} 2");
    assert_line("# TYPE herald_test_open gauge");
    assert_line("herald_test_open -5");
    assert_non_null(strstr(text.bytes, "# HELP herald_test_frames_total Frames \\\\ out,\\nall of them.\n"));
    assert_int_equal(count_of("slot="), 0);
    assert_int_equal(text.bytes[text.len - 1], '\n');
}

static void histogram_buckets_are_cumulative(void **state)
{
    (void)state;
    metric_setup(table, 1);
    static const uint64_t waits_us[] = {1, 100, 101, 1500, 2000001, 3000000};
    for (size_t i = 0; i < sizeof waits_us / sizeof waits_us[0]; i++)
        metric_observe(WAIT, waits_us[i]);
    metric_observe(SIZES, 11);
    print();
    assert_line("# TYPE herald_test_wait_seconds histogram");
    assert_line("herald_test_wait_seconds_bucket{le=\"0.0001\"} 2"); /* a bound is inclusive */
    assert_line("herald_test_wait_seconds_bucket{le=\"0.0015\"} 4");
    assert_line("herald_test_wait_seconds_bucket{le=\"2\"} 4");
    assert_line("herald_test_wait_seconds_bucket{le=\"+Inf\"} 6");
    assert_line("herald_test_wait_seconds_sum 5.001703");
    assert_line("herald_test_wait_seconds_count 6");
    assert_line("herald_test_size_bytes_bucket{le=\"10\"} 0");
    assert_line("herald_test_size_bytes_bucket{le=\"100\"} 1");
    assert_line("herald_test_size_bytes_sum 11");
    assert_int_equal(metric_get(WAIT), 6);
}

static void several_blocks_print_one_head_each_and_slots(void **state)
{
    (void)state;
    metric_setup(table, 3);
    metric_use_block(2);
    metric_add(FRAMES, 7);
    metric_observe(WAIT, 1);
    metric_add_labelled(CLOSES, 0, 9);
    print();
    for (size_t i = 0; table[i].name; i++) {
        char head[128];
        snprintf(head, sizeof head, "# HELP %s ", table[i].name);
        assert_int_equal(count_of(head), 1);
        snprintf(head, sizeof head, "# TYPE %s ", table[i].name);
        assert_int_equal(count_of(head), 1);
    }
    assert_line("herald_test_frames_total{slot=\"0\"} 0");
    assert_line("herald_test_frames_total{slot=\"2\"} 7");
    assert_line("herald_test_closes_total{slot=\"2\",reason=\"peer\"} 9");
    assert_line("herald_test_wait_seconds_bucket{slot=\"2\",le=\"0.0001\"} 1");
    assert_line("herald_test_wait_seconds_count{slot=\"2\"} 1");
    assert_line("herald_test_wait_seconds_sum{slot=\"1\"} 0");
}

static void reading_one_block_and_all(void **state)
{
    (void)state;
    metric_setup(table, 2);
    metric_add(FRAMES, 1);
    metric_set(OPEN, 10);
    metric_use_block(1);
    metric_add(FRAMES, 2);
    metric_set(OPEN, -4);
    assert_int_equal(metric_get(FRAMES), 2);
    assert_int_equal(metric_read(0, FRAMES, 0), 1);
    assert_int_equal(metric_read(-1, FRAMES, 0), 3);
    assert_int_equal(metric_read(-1, OPEN, 0), 6);
    metric_clear_gauges(0);
    assert_int_equal(metric_read(-1, OPEN, 0), -4);
    assert_int_equal(metric_read(0, FRAMES, 0), 1);
}

static void a_child_counts_into_its_block(void **state)
{
    (void)state;
    metric_setup(table, 2);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        metric_use_block(1);
        metric_add(FRAMES, 1000);
        metric_observe(WAIT, 50);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    metric_add(FRAMES, 1);
    print();
    assert_line("herald_test_frames_total{slot=\"0\"} 1");
    assert_line("herald_test_frames_total{slot=\"1\"} 1000");
    assert_line("herald_test_wait_seconds_count{slot=\"1\"} 1");
}

static void latency_bounds_ascend_from_100_us_to_60_s(void **state)
{
    (void)state;
    size_t count = 0;
    while (metric_latency_bounds[count])
        count++;
    assert_int_equal(metric_latency_bounds[0], 100);
    assert_int_equal(metric_latency_bounds[count - 1], 60000000);
    for (size_t i = 1; i < count; i++)
        assert_true(metric_latency_bounds[i - 1] < metric_latency_bounds[i]);
}

static void docs_are_a_table(void **state)
{
    (void)state;
    struct buf docs;
    buf_init(&docs);
    metric_print_docs_head(&docs);
    metric_print_docs(table, &docs);
    assert_non_null(strstr(docs.bytes, "| `herald_test_open` | gauge | | Open now. |\n"));
    assert_non_null(strstr(docs.bytes, "| `herald_test_closes_total` | counter | reason: peer, quote"));
    assert_non_null(strstr(docs.bytes, "Frames \\ out, all of them. |\n"));
    buf_release(&docs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_block_prints_without_slot),
        cmocka_unit_test(histogram_buckets_are_cumulative),
        cmocka_unit_test(several_blocks_print_one_head_each_and_slots),
        cmocka_unit_test(reading_one_block_and_all),
        cmocka_unit_test(a_child_counts_into_its_block),
        cmocka_unit_test(latency_bounds_ascend_from_100_us_to_60_s),
        cmocka_unit_test(docs_are_a_table),
    };
    buf_init(&text);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_release(&text);
    return failed;
}
