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

#include "metric.h"
#include "option.h"

struct daemon_settings {
    int log_level;      /* enum log_level */
    int log_format;     /* enum log_format */
    char *admin_listen; /* host:port */
};

/* log.level, log.format, admin.listen. The fallback of admin.listen is 127.0.0.1:0's port by daemon: it is part of the
 * daemon's own table, so this table has only log.*. */
extern const struct option daemon_options[];

struct daemon_program {
    struct option_set options;
    const struct metric *metrics; /* for --metrics-doc; may be NULL */
    const char *component;        /* "gateway" in logs */
};

/* Handles --config FILE, --set S.K=V (repeatable), --check-config, --print-config, --config-doc, --metrics-doc,
 * --help, --version. Returns the exit status when the program has to end now (0 or 2), -1 to go on; then the
 * settings are loaded and logging is set up. Ignores SIGPIPE. */
int daemon_start(const struct daemon_program *program, int argc, char **argv);
/* The file given by --config, or NULL; for a reload. */
const char *daemon_config_file(void);
/* Tells the service manager (sd_notify protocol, NOTIFY_SOCKET), e.g. "READY=1"; no-op where there is none. */
void daemon_notify(const char *state);
extern const char daemon_version[];

#endif
