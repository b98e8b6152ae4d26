/*
 * The commands of heraldctl, one file (cmd_<name>.c) and one row of a table each, from which --help and the
 * dispatch come.
 */
#ifndef HERALD_REGISTRY_CTL_COMMAND_H
#define HERALD_REGISTRY_CTL_COMMAND_H

#include <stdint.h>
#include <stdio.h>

#include "registry/ctl/arguments.h"

/* Exit statuses; documented in --help. */
enum status { STATUS_OK = 0, STATUS_NEGATIVE = 1, STATUS_USAGE = 2, STATUS_UNREACHABLE = 3 };

struct command {
    const char *name;
    const char *synopsis; /* what stands behind the name */
    const char *summary;  /* one line, for the list of commands */
    const char *help;     /* for --help of the command */
    uint32_t options;     /* bits of enum argument that it takes besides those that all take */
    int words_min, words_max;
    enum status (*run)(const struct arguments *arguments);
};

extern const struct command commands[]; /* ended by a row without a name */
const struct command *command_find(const char *name);
void command_print_help(const struct command *command, FILE *out);
void command_print_overview(FILE *out);

enum status cmd_instances(const struct arguments *arguments);
enum status cmd_user(const struct arguments *arguments);
enum status cmd_users(const struct arguments *arguments);
enum status cmd_stats(const struct arguments *arguments);
enum status cmd_topics(const struct arguments *arguments);
enum status cmd_watch(const struct arguments *arguments);
enum status cmd_token(const struct arguments *arguments);
enum status cmd_audit(const struct arguments *arguments);
enum status cmd_dlq(const struct arguments *arguments);
enum status cmd_health(const struct arguments *arguments);

#endif
