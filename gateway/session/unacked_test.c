#include "gateway/session/unacked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct seen {
    uint64_t seqs[600];
    void *receipts[600];
    uint32_t written_ms[600];
    unsigned count;
};

static void note(void *arg, uint64_t seq, const struct unacked_entry *entry)
{
    struct seen *seen = arg;
    seen->seqs[seen->count] = seq;
    seen->written_ms[seen->count] = entry->written_ms;
    seen->receipts[seen->count++] = entry->receipt;
}

static void add(struct unacked **ring, uint64_t seq, uint64_t id_hash, uint32_t len)
{
    unacked_add(ring, seq, &(struct unacked_entry){.id_hash = id_hash, .receipt = (void *)(uintptr_t)seq, .len = len});
}

static void empty_is_no_memory(void **state)
{
    struct unacked *ring = NULL;
    struct seen seen = {0};
    (void)state;
    assert_int_equal(unacked_count(ring), 0);
    assert_int_equal(unacked_ack_through(&ring, 5, note, &seen), 0);
    assert_int_equal(unacked_ack_id(&ring, 5, note, &seen), 0);
    add(&ring, 1, 7, 10);
    assert_non_null(ring);
    assert_int_equal(unacked_ack_through(&ring, 1, note, &seen), 1);
    assert_null(ring);
    add(&ring, 9, 7, 10); /* the next one starts anywhere */
    assert_int_equal(unacked_take_all(&ring, note, &seen), 1);
    assert_int_equal(seen.seqs[1], 9);
    assert_null(ring);
}

static void cumulative_in_order(void **state)
{
    struct unacked *ring = NULL;
    struct seen seen = {0};
    (void)state;
    for (uint64_t seq = 1; seq <= 300; seq++) { /* the window moves, so the ring wraps while it grows */
        add(&ring, seq, seq, 1);
        if (seq % 3 == 0)
            unacked_ack_through(&ring, seq / 3, note, &seen);
    }
    assert_int_equal(unacked_count(ring), 200);
    assert_int_equal(unacked_take_all(&ring, note, &seen), 200);
    assert_int_equal(seen.count, 300);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(seen.seqs[i], i + 1);
        assert_ptr_equal(seen.receipts[i], (void *)(uintptr_t)(i + 1));
    }
}

static void old_and_future_acks(void **state)
{
    struct unacked *ring = NULL;
    struct seen seen = {0};
    (void)state;
    add(&ring, 5, 1, 1);
    add(&ring, 6, 2, 1);
    assert_int_equal(unacked_ack_through(&ring, 4, note, &seen), 0);
    assert_int_equal(unacked_ack_through(&ring, 5, note, &seen), 1);
    assert_int_equal(unacked_ack_through(&ring, 5, note, &seen), 0);
    assert_int_equal(unacked_count(ring), 1);
    assert_int_equal(unacked_ack_through(&ring, 100, note, &seen), 1);
    assert_null(ring);
}

static void by_id_out_of_order(void **state)
{
    struct unacked *ring = NULL;
    struct seen seen = {0};
    (void)state;
    for (uint64_t seq = 1; seq <= 4; seq++)
        add(&ring, seq, seq == 4 ? 102 : 100 + seq, 1); /* 2 and 4 are the same message, sent twice */
    assert_int_equal(unacked_ack_id(&ring, 102, note, &seen), 2);
    assert_int_equal(unacked_count(ring), 4); /* 1 holds the front */
    assert_int_equal(unacked_ack_id(&ring, 102, note, &seen), 0);
    assert_int_equal(unacked_ack_id(&ring, 101, note, &seen), 1);
    assert_int_equal(unacked_count(ring), 2);
    assert_int_equal(unacked_ack_through(&ring, 4, note, &seen), 1); /* 4 is told already */
    assert_null(ring);
    assert_int_equal(seen.seqs[3], 3);
}

static void unwritten_bytes(void **state)
{
    struct unacked *ring = NULL;
    struct seen seen = {0};
    (void)state;
    add(&ring, 1, 1, 100);
    add(&ring, 2, 2, 50);
    assert_int_equal(unacked_unwritten(ring), 150);
    unacked_mark_written(ring, 1, 70);
    unacked_mark_written(ring, 1, 71); /* it was before */
    unacked_mark_written(ring, 3, 70);
    unacked_mark_written(ring, 0, 70);
    assert_int_equal(unacked_unwritten(ring), 50);
    add(&ring, 3, 3, 7);
    unacked_ack_through(&ring, 2, note, &seen); /* acknowledged is written, whatever came first */
    assert_int_equal(unacked_unwritten(ring), 7);
    assert_int_equal(seen.written_ms[0], 70);
    assert_int_equal(seen.written_ms[1], 0); /* nobody said when */
    unacked_take_all(&ring, note, &seen);
    assert_int_equal(unacked_unwritten(ring), 0);
    unacked_mark_written(ring, 3, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_is_no_memory),  cmocka_unit_test(cumulative_in_order),
        cmocka_unit_test(old_and_future_acks), cmocka_unit_test(by_id_out_of_order),
        cmocka_unit_test(unwritten_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
