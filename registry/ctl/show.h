/* The API's documents as text; shared by the commands and by watch. */
#ifndef HERALD_REGISTRY_CTL_SHOW_H
#define HERALD_REGISTRY_CTL_SHOW_H

#include <jansson.h>
#include <stdint.h>

#include "common/buf.h"
#include "registry/ctl/command.h"

/* Of /api/v1/instances. NEGATIVE: no rows. */
enum status show_instances(const json_t *document, struct buf *out);
/* Of /api/v1/stats. */
enum status show_stats(const json_t *document, struct buf *out);

/* Members of a document, with what stands for an absent one. */
const char *show_str(const json_t *object, const char *key, const char *fallback);
int64_t show_int(const json_t *object, const char *key);
double show_real(const json_t *object, const char *key);
/* "850ms", "12s", "5m", "3h", "9d"; text must have room for 24 bytes. */
const char *show_span(int64_t ms, char *text);
/* Unix ms as local "2026-01-02 03:04:05", "-" for 0; text must have room for 32 bytes. */
const char *show_time(int64_t unix_ms, char *text);

#endif
