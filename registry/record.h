/* A record as POST /api/v1/push takes it: looked at only as far as its key and id need. The router judges the rest. */
#ifndef HERALD_REGISTRY_RECORD_H
#define HERALD_REGISTRY_RECORD_H

#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

struct record {
    struct buf text; /* as it came, byte for byte, with an id put in front where it had none */
    char *key;       /* the user, or the first of the users; "" for other targets */
    char *id;
};

void record_init(struct record *record);
void record_release(struct record *record);
/* ERR_INVALID: not a JSON object with a target; *why_r then says so. new_id is used when it has no id. */
enum err record_read(struct record *record, const char *text, size_t len, const char *new_id,
                     const char **why_r) MUST_CHECK;

#endif
