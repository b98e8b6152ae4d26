#include "gateway/link/link_metrics.h"

#include <stddef.h>

#define X(name, text) text,
const char *const result_kind_names[] = {RESULT_KIND_LIST(X) NULL};
const char *const link_refusal_names[] = {LINK_REFUSAL_LIST(X) NULL};
const char *const upstream_outcome_names[] = {UPSTREAM_OUTCOME_LIST(X) NULL};
const char *const canary_event_names[] = {CANARY_EVENT_LIST(X) NULL};
#undef X
