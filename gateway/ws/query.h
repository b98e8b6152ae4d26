/* A URL's query, name=value&..., decoded in place. Pure. */
#ifndef HERALD_GATEWAY_WS_QUERY_H
#define HERALD_GATEWAY_WS_QUERY_H

#include "common/err.h"

/* Cuts the next pair off *cursor; *name_r is NULL at the end. ERR_INVALID: a malformed escape, or decoded text that is
 * not printable UTF-8. */
enum err query_next(char **cursor, const char **name_r, const char **value_r) MUST_CHECK;

#endif
