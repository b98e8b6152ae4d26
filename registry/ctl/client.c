#include "registry/ctl/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/ctl/http.h"

#define REGISTRY_DEFAULT "http://127.0.0.1:9280"

enum { TIMEOUT_MS = 5000, TIMEOUT_MIN_MS = 100, TIMEOUT_MAX_MS = 600000 };

static const char *registry_text(const struct arguments *arguments)
{
    const char *text = arguments->values[ARGUMENT_REGISTRY];
    if (!text)
        text = getenv("HERALD_REGISTRY");
    return text && *text ? text : REGISTRY_DEFAULT;
}

enum status client_init(struct client *c, const struct arguments *arguments)
{
    *c = (struct client){0};
    buf_init(&c->text);
    buf_init(&c->why);
    const char *text = registry_text(arguments);
    enum err err = url_parse(text, &c->url);
    if (err) {
        fprintf(stderr, "heraldctl: %s: %s\n", err == ERR_UNSUPPORTED ? "only http:// is spoken" : "not a URL", text);
        return STATUS_USAGE;
    }
    err = argument_time(arguments, ARGUMENT_TIMEOUT, TIMEOUT_MS, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, &c->timeout_ms);
    return err ? STATUS_USAGE : STATUS_OK;
}

void client_release(struct client *c)
{
    json_decref(c->document);
    c->document = NULL;
    buf_release(&c->text);
    buf_release(&c->why);
}

static enum status judge(struct client *c, int code)
{
    const char *error = json_string_value(json_object_get(c->document, "error"));
    if (code == 200 && json_is_object(c->document))
        return STATUS_OK;
    if (error)
        buf_add_str(&c->why, error);
    else
        buf_printf(&c->why, "the registry answered with code %d", code);
    /* a 404 that is not the API's own means that something else listens there */
    if (code == 404 && error)
        return STATUS_NEGATIVE;
    return code == 400 || code == 403 || code == 413 ? STATUS_USAGE : STATUS_UNREACHABLE;
}

enum status client_ask(struct client *c, const char *method, const char *path)
{
    int code = 0;
    buf_clear(&c->text);
    buf_clear(&c->why);
    json_decref(c->document);
    c->document = NULL;
    enum err err = http_ask(&c->url, method, path, c->timeout_ms, &code, &c->text);
    if (err) {
        buf_printf(&c->why, "no registry at %s:%s (%s)", c->url.host, c->url.port, err_name(err));
        return STATUS_UNREACHABLE;
    }
    if (c->text.len > 0)
        c->document = json_loadb(c->text.bytes, c->text.len, 0, NULL);
    return judge(c, code);
}

enum status client_get(struct client *c, const char *path)
{
    return client_ask(c, "GET", path);
}

static enum status show_answer(const struct arguments *arguments, struct client *c, enum status status,
                               client_show_fn *show)
{
    struct buf out;
    buf_init(&out);
    if (status == STATUS_OK)
        status = show(c->document, &out);
    else
        fprintf(stderr, "heraldctl: %s\n", c->why.bytes);
    if (argument_is_given(arguments, ARGUMENT_JSON)) {
        if (c->document)
            printf("%s\n", c->text.bytes);
    } else if (out.len > 0) {
        fwrite(out.bytes, 1, out.len, stdout);
    }
    buf_release(&out);
    return status;
}

enum status client_run(const struct arguments *arguments, const char *path, client_show_fn *show)
{
    return client_run_as(arguments, "GET", path, show);
}

enum status client_run_as(const struct arguments *arguments, const char *method, const char *path, client_show_fn *show)
{
    struct client c;
    enum status status = client_init(&c, arguments);
    if (status == STATUS_OK)
        status = show_answer(arguments, &c, client_ask(&c, method, path), show);
    client_release(&c);
    return status;
}
