/*
 * What every daemon does at its start, in one place: the command line, the configuration, logging.
 *
 *     static const struct option *const tables[] = {daemon_options, gateway_options, NULL};
 *     struct gateway_settings settings = {0};    // its first member is struct daemon_settings
 *     int status = daemon_start(&(struct daemon_program){...}, argc, argv);
 *     if (status >= 0)
 *         return status;                          // --help, --version, --check-config, --print-config, or an error
 */
#ifndef HERALD_COMMON_DAEMON_H
#define HERALD_COMMON_DAEMON_H

#include <stdint.h>

#include "admin.h"
#include "err.h"
#include "metric.h"
#include "option.h"

struct daemon_settings {
    int log_level;  /* enum log_level */
    int log_format; /* enum log_format */
    struct admin_settings admin;
};

/* log.* and admin.*, but for admin.listen, which has another default in each daemon, so its row stands in the daemon's
 * table: {"admin", "listen", OPTION_STRING, offsetof(struct daemon_settings, admin.listen), ...}. */
extern const struct option daemon_options[];

struct daemon_program {
    struct option_set options; /* its settings begin with struct daemon_settings */
    size_t settings_size;
    const struct metric *metrics; /* for --metrics-doc; may be NULL */
    const char *component;        /* "gateway" in logs */
    /* What the option table cannot say: fills in what was left open, checks what belongs together. ERR_INVALID, logged.
     * NULL: there is nothing. */
    enum err (*complete)(void *settings);
};

/* Handles --config FILE, --set S.K=V (repeatable), --check-config, --print-config, --config-doc, --metrics-doc,
 * --help, --version. Returns the exit status when the program has to end now (0 or 2), -1 to go on; then the
 * settings are loaded and logging is set up. Ignores SIGPIPE. */
int daemon_start(const struct daemon_program *program, int argc, char **argv);
/* The file given by --config, or NULL. */
const char *daemon_config_file(void);
/* This process is that instance, in its log ("gw1-0"; copied by the log). */
void daemon_set_instance(const char *instance);
/* SIGHUP: loads the same file, environment and --set once more; the log follows, all else stays as it is. Mistakes go
 * to stderr, and nothing changes. */
void daemon_reload_log(void);
/* Tells the service manager (sd_notify protocol, NOTIFY_SOCKET), e.g. "READY=1"; no-op where there is none. */
void daemon_notify(const char *state);
extern const char daemon_version[];

#endif
