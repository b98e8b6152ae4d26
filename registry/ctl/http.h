/* A small blocking HTTP client: one GET, one answer, with an overall time limit. */
#ifndef HERALD_REGISTRY_CTL_HTTP_H
#define HERALD_REGISTRY_CTL_HTTP_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "registry/ctl/url.h"

enum { HTTP_ANSWER_MAX = 64 << 20 };

/* path begins with '/', is put behind the URL's prefix and must be escaped already. The body is appended to body.
 * ERR_AWAY: no connection; ERR_TIMEOUT; ERR_CLOSED: ended too early; ERR_INVALID: not HTTP; ERR_TOO_LARGE. */
enum err http_get(const struct url *url, const char *path, uint64_t timeout_ms, int *code_r,
                  struct buf *body) MUST_CHECK;

/* Parts of an answer that is wholly here (len bytes): for http_get(), and for tests. */
enum err http_parse(const char *bytes, size_t len, int *code_r, struct buf *body) MUST_CHECK;

#endif
