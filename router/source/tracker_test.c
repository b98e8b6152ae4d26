#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router/source/tracker.h"

static void starts_empty(void **state)
{
    (void)state;
    struct tracker *tracker = tracker_new(8);
    assert_int_equal(tracker_next(tracker), -1);
    assert_int_equal(tracker_oldest(tracker), -1);
    assert_int_equal(tracker_span(tracker), 0);
    tracker_free(&tracker);
    assert_null(tracker);
    tracker_free(&tracker);
}

static void holds_back_behind_the_oldest(void **state)
{
    (void)state;
    struct tracker *tracker = tracker_new(8);
    uint64_t a, b, c;
    assert_int_equal(tracker_add(tracker, 10, &a), ERR_OK);
    assert_int_equal(tracker_add(tracker, 15, &b), ERR_OK); /* a gap */
    assert_int_equal(tracker_add(tracker, 16, &c), ERR_OK);
    assert_false(tracker_done(tracker, b));
    assert_int_equal(tracker_next(tracker), 10);
    assert_int_equal(tracker_pending(tracker), 2);
    assert_int_equal(tracker_span(tracker), 3);
    assert_true(tracker_done(tracker, a));
    assert_int_equal(tracker_next(tracker), 16);
    assert_true(tracker_done(tracker, c));
    assert_int_equal(tracker_next(tracker), 17);
    assert_int_equal(tracker_oldest(tracker), -1);
    tracker_free(&tracker);
}

static void is_bounded(void **state)
{
    (void)state;
    struct tracker *tracker = tracker_new(3);
    uint64_t position[4];
    for (int i = 0; i < 3; i++)
        assert_int_equal(tracker_add(tracker, i, &position[i]), ERR_OK);
    assert_int_equal(tracker_add(tracker, 3, &position[3]), ERR_FULL);
    assert_false(tracker_done(tracker, position[1])); /* frees no room: the oldest holds the window */
    assert_int_equal(tracker_add(tracker, 3, &position[3]), ERR_FULL);
    assert_true(tracker_done(tracker, position[0]));
    assert_int_equal(tracker_add(tracker, 3, &position[3]), ERR_OK);
    tracker_free(&tracker);
}

static void refuses_offsets_that_go_back(void **state)
{
    (void)state;
    struct tracker *tracker = tracker_new(8);
    uint64_t position;
    assert_int_equal(tracker_add(tracker, 7, &position), ERR_OK);
    assert_int_equal(tracker_add(tracker, 7, &position), ERR_INVALID);
    assert_int_equal(tracker_add(tracker, 6, &position), ERR_INVALID);
    assert_true(tracker_done(tracker, 0));
    assert_int_equal(tracker_add(tracker, 7, &position), ERR_INVALID);
    assert_int_equal(tracker_next(tracker), 8);
    tracker_free(&tracker);
}

enum { STEPS = 60000, MODEL_MAX = 1000 };

struct model {
    int64_t offsets[STEPS];
    uint64_t positions[STEPS];
    bool is_done[STEPS];
    int count;
};

/* The oldest unfinished one, by looking at all of them from where it was last. */
static int model_oldest(const struct model *model, int from)
{
    while (from < model->count && model->is_done[from])
        from++;
    return from;
}

/* Random adds with gaps and random completions, often far from the head, checked after every step. */
static void agrees_with_a_naive_model(void **state)
{
    (void)state;
    struct model *model = calloc(1, sizeof *model);
    struct tracker *tracker = tracker_new(MODEL_MAX);
    int64_t offset = 0;
    int oldest = 0;
    srand(20240601);
    for (int step = 0; step < STEPS; step++) {
        int open = model->count - oldest;
        if (rand() % 100 < (open < MODEL_MAX ? 52 : 4)) {
            offset += 1 + (rand() % 8 == 0 ? rand() % 50 : 0);
            enum err err = tracker_add(tracker, offset, &model->positions[model->count]);
            assert_int_equal(err, open < MODEL_MAX ? ERR_OK : ERR_FULL);
            if (err == ERR_OK)
                model->offsets[model->count++] = offset;
        } else if (open > 0) {
            int pick = rand() % 3 == 0 ? oldest : oldest + rand() % open;
            if (!model->is_done[pick]) {
                model->is_done[pick] = true;
                bool is_grown = tracker_done(tracker, model->positions[pick]);
                assert_int_equal(is_grown, pick == oldest);
            }
        }
        oldest = model_oldest(model, oldest);
        int64_t next = model->count == 0       ? -1
                       : oldest < model->count ? model->offsets[oldest]
                                               : model->offsets[model->count - 1] + 1;
        assert_int_equal(tracker_next(tracker), next);
        assert_int_equal(tracker_span(tracker), model->count - oldest);
    }
    uint32_t pending = 0;
    for (int i = 0; i < model->count; i++)
        pending += !model->is_done[i];
    assert_int_equal(tracker_pending(tracker), pending);
    tracker_free(&tracker);
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(holds_back_behind_the_oldest),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(refuses_offsets_that_go_back),
        cmocka_unit_test(agrees_with_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
