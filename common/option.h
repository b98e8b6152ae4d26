/*
 * Configuration. A daemon has one const table of options; from it come the YAML reader, HERALD_<SECTION>_<KEY>,
 * --set section.key=value, --help, --check-config, --print-config and docs/configuration.md, so they cannot drift.
 * Precedence, last wins: default, YAML file (--config FILE), environment, --set. Keys are flat inside their
 * section: `section:\n  key: value`. Unknown, malformed or out of range: an error naming file, line and key (or the
 * variable, or the --set), and exit status 2.
 */
#ifndef HERALD_COMMON_OPTION_H
#define HERALD_COMMON_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"

enum option_kind {
    OPTION_STRING,   /* char *, never NULL */
    OPTION_SECRET,   /* char *; printed as "(set)" or "(not set)", never logged */
    OPTION_INT,      /* int64_t, min..max */
    OPTION_SIZE,     /* int64_t bytes; "64KiB", "1MiB", "2GiB" or plain */
    OPTION_DURATION, /* int64_t milliseconds; "500ms", "30s", "5m", "12h", "7d" */
    OPTION_BOOL,     /* bool */
    OPTION_CHOICE,   /* int: the index into `choices` ("a|b|c") */
    OPTION_LIST      /* struct option_list: comma-separated in text, a YAML sequence in the file */
};

struct option_list {
    char **items;
    size_t count;
};

struct option {
    const char *section, *key;
    enum option_kind kind;
    size_t offset;        /* of the field in the settings struct */
    const char *fallback; /* the default, as text */
    int64_t min, max;     /* in the unit of the kind; both 0: not limited (INT, SIZE, DURATION) */
    const char *choices;  /* CHOICE only */
    const char *help;     /* one sentence, with what the value means; units come from the kind */
};

/* The rows that every daemon has (log.level, log.format, admin.listen ...) live in daemon.h. */
struct option_set {
    const struct option *const *tables; /* NULL-terminated list of tables, each ended by a row without a key */
    void *settings;                     /* all offsets are into this struct; zeroed by the caller before */
    const char *program;                /* "herald-gateway" */
    const char *summary;                /* one line for --help */
};

/* Sets defaults, then reads file (NULL: none), environment and --set pairs ("section.key=value").
 * Prints every mistake to `errors`, not only the first, and returns ERR_INVALID. A HERALD_ variable of one of our
 * sections that names no option is only noted there: daemons may share an environment. Strings in settings are owned
 * by it, also after an error: option_release(). A default that fails its own row's check ends the process. */
enum err option_load(const struct option_set *set, const char *file, char *const *environment,
                     const char *const *assignments, size_t assignment_count, FILE *errors) MUST_CHECK;
/* Sets one value from text as if by --set, with its checks. For tests and `where` in the message. */
enum err option_set_one(const struct option_set *set, const char *section, const char *key, const char *text,
                        const char *where, FILE *errors) MUST_CHECK;
void option_release(const struct option_set *set);
void option_print_help(const struct option_set *set, FILE *out);
/* As YAML that option_load() reads back; secrets are left out, with a comment. */
void option_print_config(const struct option_set *set, FILE *out);
/* A Markdown table for docs/configuration.md. */
void option_print_docs(const struct option_set *set, FILE *out);

#endif
