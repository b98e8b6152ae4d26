#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "log.h"
#include "memory.h"

#ifndef HERALD_VERSION
#define HERALD_VERSION "0.1.0-dev"
#endif

enum { STATUS_GO_ON = -1, STATUS_OK = 0, STATUS_USAGE = 2 };

const char daemon_version[] = HERALD_VERSION;

/* The choices stand in the order of enum log_level and enum log_format. */
const struct option daemon_options[] = {
    {"log", "level", OPTION_CHOICE, offsetof(struct daemon_settings, log_level), "info", 0, 0, "error|warn|info|debug",
     "the least important lines that are still written"},
    {"log", "format", OPTION_CHOICE, offsetof(struct daemon_settings, log_format), "text", 0, 0, "text|json",
     "one line each on standard error: key=value pairs, or JSON objects"},
    ADMIN_OPTION_ROWS(struct daemon_settings, admin),
    {0},
};

enum action {
    ACTION_RUN,
    ACTION_CHECK,
    ACTION_PRINT,
    ACTION_CONFIG_DOC,
    ACTION_METRICS_DOC,
    ACTION_HELP,
    ACTION_VERSION
};

/* Flags without an argument. Not getopt_long(): its struct option is not ours. */
static const struct {
    const char *name;
    enum action action;
} action_flags[] = {
    {"--check-config", ACTION_CHECK},      {"--print-config", ACTION_PRINT}, {"--config-doc", ACTION_CONFIG_DOC},
    {"--metrics-doc", ACTION_METRICS_DOC}, {"--help", ACTION_HELP},          {"--version", ACTION_VERSION},
};

/* The command line, kept for reloads; the strings are those of argv. */
static struct {
    const struct daemon_program *program;
    char *instance; /* NULL: not known yet */
    const char *config_file;
    const char **assignments;
    size_t assignment_count;
} given;

const char *daemon_config_file(void)
{
    return given.config_file;
}

static int usage_error(const struct daemon_program *program, const char *what, const char *argument)
{
    fprintf(stderr, "%s: %s %s; see --help\n", program->options.program, what, argument);
    return STATUS_USAGE;
}

static bool find_action(const char *argument, enum action *action_r)
{
    for (size_t i = 0; i < sizeof action_flags / sizeof action_flags[0]; i++) {
        if (strcmp(action_flags[i].name, argument) == 0) {
            *action_r = action_flags[i].action;
            return true;
        }
    }
    return false;
}

/* "--name VALUE" or "--name=VALUE"; false when argv[*index] is another flag. value_r is NULL when it is missing. */
static bool take_value(const char *name, int argc, char **argv, int *index, const char **value_r)
{
    size_t len = strlen(name);
    const char *argument = argv[*index];
    if (strncmp(argument, name, len) != 0 || (argument[len] != '\0' && argument[len] != '='))
        return false;
    if (argument[len] == '=')
        *value_r = argument + len + 1;
    else
        *value_r = *index + 1 < argc ? argv[++*index] : NULL;
    return true;
}

static int parse_arguments(const struct daemon_program *program, int argc, char **argv, enum action *action_r)
{
    free(given.assignments);
    free(given.instance);
    given.program = program;
    given.instance = NULL;
    given.config_file = NULL;
    given.assignment_count = 0;
    given.assignments = xcalloc((size_t)argc + 1, sizeof *given.assignments);
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i], *value;
        if (take_value("--config", argc, argv, &i, &value))
            given.config_file = value;
        else if (take_value("--set", argc, argv, &i, &value))
            given.assignments[given.assignment_count++] = value;
        else if (find_action(flag, action_r))
            continue;
        else
            return usage_error(program, "unknown argument", flag);
        if (!value)
            return usage_error(program, "a value is missing after", flag);
    }
    return STATUS_GO_ON;
}

static void print_metrics_doc(const struct daemon_program *program)
{
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "## %s\n\n", program->options.program);
    metric_print_docs_head(&text);
    if (program->metrics)
        metric_print_docs(program->metrics, &text);
    metric_print_docs(admin_metrics, &text);
    fwrite(text.bytes, 1, text.len, stdout);
    buf_release(&text);
}

/* What needs no configuration; STATUS_GO_ON when it is something else. */
static int act_before_load(const struct daemon_program *program, enum action action)
{
    switch (action) {
    case ACTION_CONFIG_DOC:
        option_print_docs(&program->options, stdout);
        return STATUS_OK;
    case ACTION_METRICS_DOC:
        print_metrics_doc(program);
        return STATUS_OK;
    case ACTION_HELP:
        option_print_help(&program->options, stdout);
        return STATUS_OK;
    case ACTION_VERSION:
        printf("%s %s\n", program->options.program, daemon_version);
        return STATUS_OK;
    default:
        return STATUS_GO_ON;
    }
}

static enum err load_options(const struct option_set *set)
{
    return option_load(set, given.config_file, environ, given.assignments, given.assignment_count, stderr);
}

static void set_up_log(const struct daemon_settings *settings)
{
    log_setup((enum log_level)settings->log_level, (enum log_format)settings->log_format, given.program->component,
              given.instance);
}

void daemon_set_instance(const char *instance)
{
    free(given.instance);
    given.instance = xstrdup(instance);
    set_up_log(given.program->options.settings);
}

void daemon_reload_log(void)
{
    struct option_set fresh = given.program->options;
    fresh.settings = xcalloc(1, given.program->settings_size);
    if (load_options(&fresh) == ERR_OK) {
        set_up_log(fresh.settings);
        log_info("configuration read again: the log follows it, the rest with the next start");
    } else {
        log_error("configuration not taken over: it has mistakes");
    }
    option_release(&fresh);
    free(fresh.settings);
}

static int load(const struct daemon_program *program, enum action action)
{
    if (load_options(&program->options) != ERR_OK) {
        option_release(&program->options);
        return STATUS_USAGE;
    }
    if (action == ACTION_PRINT) {
        option_print_config(&program->options, stdout);
        option_release(&program->options);
        return STATUS_OK;
    }
    set_up_log(program->options.settings);
    bool is_valid = !program->complete || program->complete(program->options.settings) == ERR_OK;
    if (is_valid && action == ACTION_RUN)
        return STATUS_GO_ON;
    if (is_valid)
        printf("%s: the configuration is valid\n", program->options.program);
    option_release(&program->options);
    return is_valid ? STATUS_OK : STATUS_USAGE;
}

int daemon_start(const struct daemon_program *program, int argc, char **argv)
{
    enum action action = ACTION_RUN;
    memory_init();
    int status = parse_arguments(program, argc, argv, &action);
    if (status == STATUS_GO_ON)
        status = act_before_load(program, action);
    if (status == STATUS_GO_ON)
        status = load(program, action);
    if (status != STATUS_GO_ON)
        return status;
    signal(SIGPIPE, SIG_IGN);
    return STATUS_GO_ON;
}

/* "@name" is Linux' abstract namespace: a zero byte, then the name, without an end. */
static bool notify_address(struct sockaddr_un *address, socklen_t *len_r)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof address->sun_path || (path[0] != '/' && path[0] != '@'))
        return false;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, len);
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    *len_r = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
    return true;
}

void daemon_notify(const char *state)
{
    struct sockaddr_un address;
    socklen_t address_len;
    if (!notify_address(&address, &address_len))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        log_warn("service manager not told", F_STR("state", state), F_ERRNO(errno));
        return;
    }
    struct timeval patience = {.tv_usec = 200000}; /* a manager that does not read must not stop the loop */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, address_len) < 0)
        log_warn("service manager not told", F_STR("state", state), F_ERRNO(errno));
    close(fd);
}
