/* Where the registry is: "http://host:port/prefix", "host:port" or "host". */
#ifndef HERALD_REGISTRY_CTL_URL_H
#define HERALD_REGISTRY_CTL_URL_H

#include "common/buf.h"
#include "common/err.h"

enum { URL_HOST_MAX = 256, URL_PREFIX_MAX = 256 };

struct url {
    char host[URL_HOST_MAX];     /* without brackets */
    char port[6];                /* 9280 when none is given */
    char prefix[URL_PREFIX_MAX]; /* "" or "/path", without a slash at the end */
};

/* ERR_UNSUPPORTED: not http; ERR_INVALID: not such a URL. */
enum err url_parse(const char *text, struct url *url_r) MUST_CHECK;
/* Appends a part of a path or of a query, percent-encoded (RFC 3986, unreserved characters stay). */
void url_add_escaped(struct buf *out, const char *text);

#endif
