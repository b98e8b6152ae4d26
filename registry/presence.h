/*
 * What Redis knows of users, turned into what the API says of them. Pure: a route counts only while its instance's
 * generation is the live one, which the roster tells.
 */
#ifndef HERALD_REGISTRY_PRESENCE_H
#define HERALD_REGISTRY_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "registry/roster.h"

enum { PRESENCE_INSTANCE_MAX = 128, PRESENCE_IDS_LEN_MAX = 262144 };

/* The value of a device in herald:route:{user}: "<instance> <generation> <connection> <since ms>". */
struct route {
    char instance[PRESENCE_INSTANCE_MAX];
    uint64_t generation, connection, since_ms;
};

/* ERR_INVALID: not a route. */
enum err route_parse(const char *text, size_t len, struct route *route_r) MUST_CHECK;
bool route_is_valid(const struct route *route, const struct roster *roster);

/* Cuts "a,b,c" in place (empty parts left out). ERR_TOO_LARGE: more than max; ERR_INVALID: none, or not ids. */
enum err presence_split_ids(char *text, const char **ids_r, size_t max, size_t *count_r) MUST_CHECK;
/* A user or device id as the API takes it: 1 to 256 bytes of UTF-8 without control characters. */
bool presence_is_id(const char *id);

#endif
