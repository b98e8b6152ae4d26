/* What the API's resources share: counting, refusing, answering with a JSON document. */
#ifndef HERALD_REGISTRY_API_REPLY_H
#define HERALD_REGISTRY_API_REPLY_H

#include <jansson.h>
#include <stdbool.h>

#include "registry/api.h"
#include "registry/metrics.h"

/* The api of a handler's argument; counts the request. */
struct api *api_enter(void *arg, enum metric_resource resource);
/* Takes over the reference to the document. */
void api_reply_json(struct admin_request *request, int code, json_t *document);
/* Counts the refusal, and answers {"error":text}. */
void api_refuse(struct admin_request *request, int code, enum metric_refusal refusal, const char *text);
/* Answers 403 and says false unless try.enabled. */
bool api_check_try(const struct api *api, struct admin_request *request);

/* One per resource. */
void api_instances_get(struct admin_request *request, void *arg);
void api_user_get(struct admin_request *request, void *arg);
void api_users_get(struct admin_request *request, void *arg);
void api_stats_get(struct admin_request *request, void *arg);
void api_topics_get(struct admin_request *request, void *arg);
void api_push_post(struct admin_request *request, void *arg);
void api_token_get(struct admin_request *request, void *arg);
void api_try_get(struct admin_request *request, void *arg);
void api_audit_get(struct admin_request *request, void *arg);
void api_dlq_list(struct admin_request *request, void *arg);
void api_dlq_get(struct admin_request *request, void *arg);
void api_dlq_replay(struct admin_request *request, void *arg);
/* Adds the routes of the pages (registry/web/). */
void api_pages_start(struct api *api, struct admin *admin);

#endif
