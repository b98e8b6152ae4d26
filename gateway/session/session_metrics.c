#include "gateway/session/session_metrics.h"

#include <stddef.h>

#include "gateway/session/client_message.h"

#define X(name, text) text,
const char *const auth_result_names[] = {AUTH_RESULT_LIST(X) NULL};
const char *const push_sort_names[] = {PUSH_SORT_LIST(X) NULL};
const char *const refusal_names[] = {REFUSAL_LIST(X) NULL};
const char *const route_event_names[] = {ROUTE_EVENT_LIST(X) NULL};
const char *const client_message_names[] = {CLIENT_MESSAGE_LIST(X) NULL};
#undef X
