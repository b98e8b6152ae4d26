#include "heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { BATCH = 1 << 20, BATCHES = 16, PAGE = 4096 };

#ifdef __SANITIZE_ADDRESS__
#define NEEDS_GLIBC() skip() /* malloc() is another one there */
#else
#define NEEDS_GLIBC() (void)0
#endif

static long faults(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_minflt;
}

struct fetched {
    char *batches[BATCHES];
};

static void *fetch(void *arg)
{
    struct fetched *fetched = arg;
    for (int i = 0; i < BATCHES; i++)
        if ((fetched->batches[i] = malloc(BATCH)))
            memset(fetched->batches[i], 1, BATCH);
    return NULL;
}

/* As with librdkafka: a thread allocates, another one frees. */
static void pass_on(int rounds)
{
    for (int round = 0; round < rounds; round++) {
        struct fetched fetched;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, fetch, &fetched), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        for (int i = 0; i < BATCHES; i++) {
            assert_non_null(fetched.batches[i]);
            free(fetched.batches[i]);
        }
    }
}

static void test_large_buffers_come_back(void **state)
{
    enum { ROUNDS = 10 };
    (void)state;
    NEEDS_GLIBC();
    pass_on(2);
    long before = faults();
    pass_on(ROUNDS);
    assert_true(faults() - before < ROUNDS * BATCHES * (BATCH / PAGE) / 10); /* of what it takes to clear all anew */
}

static void test_bounded(void **state)
{
    enum { COUNT = 3 * HEAP_KEPT_MAX / BATCH };
    void *batches[COUNT];
    (void)state;
    NEEDS_GLIBC();
    for (int i = 0; i < COUNT; i++)
        assert_non_null(batches[i] = malloc(BATCH));
    assert_true(mallinfo2().arena > 2 * HEAP_KEPT_MAX);
    for (int i = COUNT; i-- > 0;)
        free(batches[i]);
    assert_true(mallinfo2().arena < HEAP_KEPT_MAX + 2 * BATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_buffers_come_back),
        cmocka_unit_test(test_bounded),
    };
    heap_keep();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
