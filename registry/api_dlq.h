/* What reading and replaying dead letters over the API share. */
#ifndef HERALD_REGISTRY_API_DLQ_H
#define HERALD_REGISTRY_API_DLQ_H

#include "registry/api_reply.h"
#include "registry/letter.h"

/* The filter of a request's query; borrowed from the request until its reply. */
void api_dlq_filter(struct admin_request *request, struct letter_filter *filter_r);
/* The number in text, from 1 to max; without text the fallback (or max where that is less). False: none. */
bool api_parse_limit(const char *text, int64_t fallback, int64_t max, int64_t *limit_r);

#endif
