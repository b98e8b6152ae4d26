/* GET /api/v1/audit: do the routers' accounts add up? */
#include "registry/api_reply.h"

void api_audit_get(struct admin_request *request, void *arg)
{
    struct api *api = api_enter(arg, RESOURCE_AUDIT);
    json_t *document = audit_document(auditor_audit(api->auditor), loop_now_ms(api->loop));
    json_object_set_new(document, "timestamp", json_integer((json_int_t)loop_wall_ms(api->loop)));
    api_reply_json(request, 200, document);
}
