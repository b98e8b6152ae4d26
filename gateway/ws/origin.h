/* May a page of that origin connect? Pure. */
#ifndef HERALD_GATEWAY_WS_ORIGIN_H
#define HERALD_GATEWAY_WS_ORIGIN_H

#include <stdbool.h>

#include "common/option.h"

/* An empty list allows all. A request without Origin (NULL) is no browser's, so there is no page to keep out: allowed.
 * "https://app.example.com" is compared whole, ASCII case ignored. A star in place of a label ("*.example.com" behind
 * the scheme) stands for every subdomain, not for example.com itself; "*" alone for all. */
bool origin_is_allowed(const struct option_list *allowed, const char *origin);

#endif
