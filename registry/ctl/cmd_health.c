#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "registry/ctl/command.h"
#include "registry/ctl/http.h"
#include "registry/ctl/table_print.h"

enum { TIMEOUT_MS = 2000, TIMEOUT_MIN_MS = 100, TIMEOUT_MAX_MS = 600000, REASON_MAX = 500 };

static void print_reason(const char *url, int code, const struct buf *body)
{
    struct buf clean;
    buf_init(&clean);
    char *first = body->len > 0 ? xstrndup(body->bytes, strcspn(body->bytes, "\r\n")) : xstrdup("");
    if (strlen(first) > REASON_MAX)
        first[REASON_MAX] = '\0';
    (void)text_clean(first, &clean);
    fprintf(stderr, "heraldctl: %s answers %d%s%s\n", url, code, clean.len ? ": " : "", clean.len ? clean.bytes : "");
    free(first);
    buf_release(&clean);
}

static enum status judge(const char *text, const struct url *url, uint64_t timeout_ms)
{
    struct buf body;
    int code = 0;
    buf_init(&body);
    enum err err = http_ask(url, "GET", *url->prefix ? "" : "/readyz", timeout_ms, &code, &body);
    if (err)
        fprintf(stderr, "heraldctl: no answer from %s (%s)\n", text, err_name(err));
    else if (code != 200)
        print_reason(text, code, &body);
    else
        printf("ok\n");
    buf_release(&body);
    return !err && code == 200 ? STATUS_OK : STATUS_NEGATIVE;
}

enum status cmd_health(const struct arguments *arguments)
{
    const char *text = arguments->words[1];
    struct url url;
    uint64_t timeout_ms;
    enum err err = url_parse(text, &url);
    if (err) {
        fprintf(stderr, "heraldctl: %s: %s\n", err == ERR_UNSUPPORTED ? "only http:// is spoken" : "not a URL", text);
        return STATUS_USAGE;
    }
    if (argument_time(arguments, ARGUMENT_TIMEOUT, TIMEOUT_MS, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, &timeout_ms) != ERR_OK)
        return STATUS_USAGE;
    return judge(text, &url, timeout_ms);
}
