/*
 * The master: forks the workers, starts a dead one again (with back-off, and a higher generation), serves the admin
 * port for all of them, and passes signals on. It holds no client and no session, so it can hardly fail.
 */
#ifndef HERALD_GATEWAY_MASTER_H
#define HERALD_GATEWAY_MASTER_H

#include "gateway/settings.h"

/* Runs until SIGTERM or SIGINT has ended all workers. The exit status, of the master or, in a child, of the worker. */
int master_run(const struct gateway_settings *settings);

#endif
