/*
 * Pure code without memory. A program that is linked with failmalloc.c has malloc(), calloc() and realloc() of its own,
 * also for the libraries it uses. trial() runs a part again and again, each time in a child of its own in which one
 * more allocation succeeds before the next one fails (once, and in another child: that one and all later ones), until
 * the part needs no more. Whatever fails, the part must come to its right answer or end the process with xmalloc's
 * message: an answer that only looks right (a valid message called malformed, a good token refused, a record not
 * tracked) is a message lost.
 */
#ifndef HERALD_TESTS_UNIT_FAILMALLOC_H
#define HERALD_TESTS_UNIT_FAILMALLOC_H

#include <stdbool.h>

/* False: a wrong answer; what it is has been printed. Begins with nothing but what is static, and may leak. */
typedef bool trial_fn(void);

/* How many allocations the part makes. Ends the test (cmocka) when a child misbehaves. */
unsigned trial(const char *name, trial_fn *fn);

/* In a trial_fn: the answer is wrong. */
#define TRIAL(expr)                                                                                                    \
    do {                                                                                                               \
        if (!(expr)) {                                                                                                 \
            trial_wrong(#expr, __FILE__, __LINE__);                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
    } while (0)
void trial_wrong(const char *expr, const char *file, int line);

#endif
