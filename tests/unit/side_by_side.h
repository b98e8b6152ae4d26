/*
 * For tests that wait more than they work, such as for the rebalances of a mock Kafka (seconds each, and it knows no
 * other): each runs in a process of its own, all at the same time, and the program takes as long as its longest one.
 * Every test needs a fixture of its own, and nothing that lasts may be started before.
 */
#ifndef HERALD_TESTS_UNIT_SIDE_BY_SIDE_H
#define HERALD_TESTS_UNIT_SIDE_BY_SIDE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What each prints comes when it has ended, in the order of the table. Returns how many failed. */
static inline int run_side_by_side(const struct CMUnitTest *tests, size_t count)
{
    enum { COUNT_MAX = 64 };
    FILE *outputs[COUNT_MAX];
    pid_t children[COUNT_MAX];
    int failed = count > COUNT_MAX;
    for (size_t i = 0; i < count && !failed; i++) {
        outputs[i] = tmpfile();
        fflush(NULL);
        children[i] = fork();
        if (children[i] == 0) {
            dup2(fileno(outputs[i]), STDOUT_FILENO);
            dup2(fileno(outputs[i]), STDERR_FILENO);
            _exit(_cmocka_run_group_tests(tests[i].name, &tests[i], 1, NULL, NULL) != 0);
        }
    }
    for (size_t i = 0; i < count && count <= COUNT_MAX; i++) {
        int status = 1, c;
        waitpid(children[i], &status, 0);
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        rewind(outputs[i]);
        while ((c = getc(outputs[i])) != EOF)
            putchar(c);
        fclose(outputs[i]);
        if (WIFSIGNALED(status))
            printf("%s: signal %d\n", tests[i].name, WTERMSIG(status));
    }
    return failed;
}

#endif
