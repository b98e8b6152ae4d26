#include "tests/unit/failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ALLOCATIONS_MAX = 5000, EXIT_RIGHT = 0, EXIT_WRONG = 3, OUTPUT_MAX = 4096 };

static struct {
    bool is_armed, is_for_good; /* is_for_good: all later ones fail, too */
    unsigned made, failing;     /* failing: the how manieth fails; 0: none */
} state;

static bool fails(void)
{
    if (!state.is_armed)
        return false;
    state.made++;
    bool is_it = state.failing && (state.is_for_good ? state.made >= state.failing : state.made == state.failing);
    if (is_it)
        errno = ENOMEM;
    return is_it;
}

/* --- the allocator: the next one in the order of symbols, be it libc's or a sanitizer's
 * -------------------------------
 */

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);

#define NEXT(function)                                                                                                 \
    if (!next_##function)                                                                                              \
    *(void **)&next_##function = dlsym(RTLD_NEXT, #function)

void *malloc(size_t size)
{
    NEXT(malloc);
    return fails() ? NULL : next_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    NEXT(calloc);
    return fails() ? NULL : next_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    NEXT(realloc);
    return fails() ? NULL : next_realloc(p, size);
}

/* --- trials ----------------------------------------------------------------------------------------------------------
 */

void trial_wrong(const char *expr, const char *file, int line)
{
    state.is_armed = false;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, expr);
}

static bool run(trial_fn *fn, unsigned failing, bool is_for_good)
{
    state.failing = failing;
    state.is_for_good = is_for_good;
    state.made = 0;
    state.is_armed = true;
    bool is_right = fn();
    state.is_armed = false;
    return is_right;
}

/* The child's end. What it printed goes to text. */
static int try_in_child(trial_fn *fn, unsigned failing, bool is_for_good, char *text)
{
    int output = memfd_create("output", MFD_CLOEXEC), status;
    assert_true(output >= 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka's handlers are for the parent */
        signal(SIGSEGV, SIG_DFL);
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
        _exit(run(fn, failing, is_for_good) ? EXIT_RIGHT : EXIT_WRONG);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    ssize_t len = pread(output, text, OUTPUT_MAX - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    close(output);
    return status;
}

static bool is_fine(int status, const char *text)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == EXIT_RIGHT;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, "check failed") &&
           strstr(text, "expr=memory");
}

unsigned trial(const char *name, trial_fn *fn)
{
    char text[OUTPUT_MAX];
    assert_true(run(fn, 0, false)); /* what libraries make once is there from now on */
    assert_true(run(fn, 0, false));
    unsigned needed = state.made;
    assert_in_range(needed, 1, ALLOCATIONS_MAX); /* else it tries nothing, or too much */
    for (unsigned n = 1; n <= needed; n++)
        for (int is_for_good = 0; is_for_good <= 1; is_for_good++) {
            int status = try_in_child(fn, n, is_for_good, text);
            if (!is_fine(status, text))
                fail_msg("%s: allocation %u of %u fails%s: status %#x, output:\n%s", name, n, needed,
                         is_for_good ? ", and all later ones" : "", (unsigned)status, text);
        }
    return needed;
}
