/* Asking the registry: what --registry, HERALD_REGISTRY and --timeout say, one request, its JSON. */
#ifndef HERALD_REGISTRY_CTL_CLIENT_H
#define HERALD_REGISTRY_CTL_CLIENT_H

#include <jansson.h>

#include "common/buf.h"
#include "registry/ctl/arguments.h"
#include "registry/ctl/command.h"
#include "registry/ctl/url.h"

struct client {
    struct url url;
    uint64_t timeout_ms;
    struct buf text;  /* of the last answer, as it came */
    struct buf why;   /* of the last failure */
    json_t *document; /* of the last answer */
};

/* STATUS_USAGE: the URL or the time is none; it was printed. */
enum status client_init(struct client *client, const struct arguments *arguments) MUST_CHECK;
void client_release(struct client *client);
/* STATUS_OK: document is an object. STATUS_NEGATIVE: the registry says 404. STATUS_UNREACHABLE: no answer, or one
 * that is a failure. STATUS_USAGE: it says 400, 403 or 413. Unless OK, why tells. */
enum status client_get(struct client *client, const char *path) MUST_CHECK;
/* The same with another method (http.h). */
enum status client_ask(struct client *client, const char *method, const char *path) MUST_CHECK;

/* The whole of a simple command: asks, prints the JSON as it came where --json is given, else calls show(), which
 * appends the text to print and may turn OK into STATUS_NEGATIVE. */
typedef enum status client_show_fn(const json_t *document, struct buf *out);
enum status client_run(const struct arguments *arguments, const char *path, client_show_fn *show);
enum status client_run_as(const struct arguments *arguments, const char *method, const char *path,
                          client_show_fn *show);

#endif
