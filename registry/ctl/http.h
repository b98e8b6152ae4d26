/* A small blocking HTTP client: one request, one answer, with an overall time limit. */
#ifndef HERALD_REGISTRY_CTL_HTTP_H
#define HERALD_REGISTRY_CTL_HTTP_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "registry/ctl/url.h"

enum { HTTP_ANSWER_MAX = 64 << 20 };

/* method: "GET", or "POST", which sends {}: what is wanted stands in the query. path begins with '/', is put behind the
 * URL's prefix and must be escaped already. The body is appended to body. ERR_AWAY: no connection; ERR_TIMEOUT;
 * ERR_CLOSED: ended too early; ERR_INVALID: not HTTP; ERR_TOO_LARGE. */
enum err http_ask(const struct url *url, const char *method, const char *path, uint64_t timeout_ms, int *code_r,
                  struct buf *body) MUST_CHECK;

/* Parts of an answer that is wholly here (len bytes): for http_ask(), and for tests. */
enum err http_parse(const char *bytes, size_t len, int *code_r, struct buf *body) MUST_CHECK;

#endif
