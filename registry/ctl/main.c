/* heraldctl: the operator's command line, over the registry's HTTP API. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/daemon.h"
#include "common/memory.h"
#include "registry/ctl/command.h"

static enum status refuse(const char *why)
{
    fprintf(stderr, "heraldctl: %s; see heraldctl --help\n", why);
    return STATUS_USAGE;
}

static enum status dispatch(const struct command *command, const struct arguments *arguments)
{
    uint32_t foreign = arguments->given & ~(command->options | ARGUMENTS_FOR_ALL);
    char why[200];
    for (int i = 0; i < ARGUMENT_COUNT_; i++) {
        if (foreign >> i & 1) {
            snprintf(why, sizeof(why), "%s takes no --%s", command->name, argument_rows[i].name);
            return refuse(why);
        }
    }
    int words = arguments->word_count - 1;
    if (words < command->words_min || words > command->words_max) {
        snprintf(why, sizeof(why), "usage: heraldctl %s %s", command->name, command->synopsis);
        return refuse(why);
    }
    enum status status = command->run(arguments);
    if (fflush(stdout) != 0 && status == STATUS_OK) {
        perror("heraldctl: standard output");
        return STATUS_UNREACHABLE;
    }
    return status;
}

static enum status run(const struct arguments *arguments)
{
    bool wants_help = argument_is_given(arguments, ARGUMENT_HELP);
    const char *name = arguments->word_count > 0 ? arguments->words[0] : NULL;
    if (name && strcmp(name, "help") == 0) {
        wants_help = true;
        name = arguments->word_count > 1 ? arguments->words[1] : NULL;
    }
    const struct command *command = name ? command_find(name) : NULL;
    if (argument_is_given(arguments, ARGUMENT_VERSION)) {
        printf("heraldctl %s\n", daemon_version);
        return STATUS_OK;
    }
    if (name && !command)
        return refuse("there is no such command");
    if (wants_help && command)
        command_print_help(command, stdout);
    else if (wants_help)
        command_print_overview(stdout);
    else if (command)
        return dispatch(command, arguments);
    else
        return refuse("which command?");
    return STATUS_OK;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct buf why;
    memory_init();
    buf_init(&why);
    (void)signal(SIGPIPE, SIG_IGN);
    enum err err = arguments_parse(argc, argv, &arguments, &why);
    enum status status = err ? refuse(why.bytes) : run(&arguments);
    buf_release(&why);
    return (int)status;
}
