/*
 * The HTTP side of a daemon, over evhttp: /metrics, /healthz and /readyz for all, the registry's API besides.
 * Never exposed to the internet; limits on header and body size and on time are set all the same.
 */
#ifndef HERALD_COMMON_ADMIN_H
#define HERALD_COMMON_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "loop.h"
#include "metric.h"

struct admin;
struct admin_request;

struct admin_settings {
    char *listen; /* "127.0.0.1:9080"; "" host or *: all addresses; port 0: any */
    int64_t connections_max, head_max, body_max;
    int64_t idle_ms;
};

/* Rows for daemon_options; admin.listen has another default in each daemon. */
#define ADMIN_OPTION_ROWS(type, field)                                                                                 \
    {"admin",                                                                                                          \
     "connections_max",                                                                                                \
     OPTION_INT,                                                                                                       \
     offsetof(type, field.connections_max),                                                                            \
     "128",                                                                                                            \
     1,                                                                                                                \
     65536,                                                                                                            \
     NULL,                                                                                                             \
     "connections that the admin port has at the same time; further clients wait"},                                    \
        {"admin",                                                                                                      \
         "head_max",                                                                                                   \
         OPTION_SIZE,                                                                                                  \
         offsetof(type, field.head_max),                                                                               \
         "16KiB",                                                                                                      \
         512,                                                                                                          \
         1 << 20,                                                                                                      \
         NULL,                                                                                                         \
         "the largest head of a request to the admin port"},                                                           \
        {"admin",                                                                                                      \
         "body_max",                                                                                                   \
         OPTION_SIZE,                                                                                                  \
         offsetof(type, field.body_max),                                                                               \
         "1MiB",                                                                                                       \
         1024,                                                                                                         \
         64 << 20,                                                                                                     \
         NULL,                                                                                                         \
         "the largest body of a request to the admin port"},                                                           \
    {                                                                                                                  \
        "admin", "idle_timeout", OPTION_DURATION, offsetof(type, field.idle_ms), "10s", 100, 600000, NULL,             \
            "a connection of the admin port without a byte read or written for so long ends"                           \
    }

enum admin_refusal { ADMIN_REFUSED_CONNECTIONS, ADMIN_REFUSED_REQUESTS, ADMIN_REFUSAL_COUNT };

/* What /metrics shows of the server itself, behind the daemon's own. */
extern const struct metric admin_metrics[];

/* A handler answers once, now or later, with admin_reply(). If the client leaves before, the reply goes nowhere,
 * but must still be given: it frees the request. */
typedef void admin_fn(struct admin_request *request, void *arg);
/* Writes the reason into why when not ready; when ready, what is to be known all the same, if anything. */
typedef bool admin_ready_fn(void *arg, struct buf *why);

/* ERR_SYSTEM (errno) when the address cannot be bound, ERR_INVALID when it is none. The settings are read here only. */
enum err admin_new(struct loop *loop, const struct admin_settings *settings, admin_ready_fn *ready, void *ready_arg,
                   struct admin **admin_r) MUST_CHECK;
/* Ends all connections. Handlers must still answer what they hold. */
void admin_free(struct admin **admin);
uint16_t admin_port(const struct admin *admin);
/* In a forked child, after loop_after_fork() and before the first turn: frees what was inherited, without touching the
 * parent's connections. */
void admin_after_fork(struct admin **admin);

/* method "GET" (HEAD comes with it), "POST", "DELETE" ...; path exact, or a prefix when it ends in '/' and is not "/".
 * Others answer 404 or 405 by themselves. Called before metric_print() for /metrics: on_scrape, when given. */
void admin_route(struct admin *admin, const char *method, const char *path, admin_fn *fn, void *arg);
void admin_on_scrape(struct admin *admin, loop_fn *fn, void *arg);

/* As it came, without the query, not decoded. */
const char *admin_path(const struct admin_request *request);
/* What stands behind a prefix route, percent-decoded; "" when nothing does. */
const char *admin_path_rest(const struct admin_request *request);
/* A query parameter, decoded, the first of that name; NULL when absent or with a zero byte. Valid until the reply. */
const char *admin_query(const struct admin_request *request, const char *name);
const char *admin_header(const struct admin_request *request, const char *name);
const void *admin_body(const struct admin_request *request, size_t *len_r);
void admin_reply(struct admin_request *request, int code, const char *content_type, const void *body, size_t len);
/* {"error":"..."} with that code. */
void admin_reply_error(struct admin_request *request, int code, const char *text);
/* An extra response header; before admin_reply(). */
void admin_reply_header(struct admin_request *request, const char *name, const char *value);

#endif
