/* Reads what Redis knows of one or many users, pipelined: routes, devices, mailboxes. */
#ifndef HERALD_REGISTRY_LOOKUP_H
#define HERALD_REGISTRY_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/redis.h"
#include "registry/presence.h"

enum { LOOKUP_DEVICES_MAX = 256 }; /* of one user; more are left out */

struct device {
    struct person *person;
    char *name;
    struct route route;
    bool has_route;
    bool is_online;        /* the route is valid */
    uint64_t last_seen_ms; /* Unix epoch; 0: not known */
    uint64_t mailbox;      /* entries for this device only */
};

struct person {
    struct lookup *lookup;
    char *user;
    struct device *devices; /* in the order of their names */
    size_t count, size;
    bool is_online;   /* with one device at least */
    uint64_t mailbox; /* entries for the user */
};

/* The people are borrowed: valid inside the call. err: then there are none. */
typedef void lookup_fn(void *arg, enum err err, const struct person *people, size_t count);

/* is_full: with the devices last seen and the mailboxes; else routes only. fn is called exactly once when ERR_OK is
 * returned, else not. */
enum err lookup_start(struct redis *redis, const struct roster *roster, const char *const *users, size_t count,
                      bool is_full, lookup_fn *fn, void *arg) MUST_CHECK;

#endif
