/* A request of the admin server, from evhttp's to the reply: the private side of struct admin_request (admin.h). */
#ifndef HERALD_COMMON_ADMIN_REQUEST_H
#define HERALD_COMMON_ADMIN_REQUEST_H

#include <event2/http.h>

#include "admin.h"
#include "list.h"

enum { ADMIN_METHOD_COUNT = 9 };

struct admin_request {
    uint32_t magic;
    struct list link;            /* of the admin's, until it is answered */
    struct evhttp_request *http; /* NULL when the admin is gone */
    char *path, *rest;
    struct admin_kept *kept;
};

/* Freed by its reply. */
struct admin_request *admin_request_new(struct evhttp_request *http);
/* Decodes what stands behind the first `skip` bytes of the path. ERR_INVALID: there is a zero byte in it. */
enum err admin_request_set_rest(struct admin_request *request, size_t skip) MUST_CHECK;
/* The admin goes; the handler that holds it will answer some day. */
void admin_request_orphan(struct admin_request *request);
/* "GET"; "?" for one that is not known. */
const char *admin_request_method(const struct admin_request *request);
/* All that have a name, as evhttp_set_allowed_methods() takes them. */
uint16_t admin_request_methods(void);

#endif
