#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "registry/ctl/client.h"
#include "registry/ctl/screen.h"
#include "registry/ctl/show.h"

enum { INTERVAL_MS = 1000, INTERVAL_MIN_MS = 100, INTERVAL_MAX_MS = 3600000, MARK = '\001' };

struct watch {
    struct client client;
    struct screen *screen; /* NULL: not a terminal */
    struct buf text;
    uint64_t interval_ms, looks_left;
    bool is_json;
};

static void add_title(struct watch *w)
{
    char time_text[32];
    buf_printf(&w->text, "%cHerald at %s:%s   %s   every %.1f s%s\n\n", MARK, w->client.url.host, w->client.url.port,
               show_time((int64_t)time(NULL) * 1000, time_text), (double)w->interval_ms / 1000,
               w->screen ? "   q quits" : "");
}

static enum status look_json(struct watch *w)
{
    enum status status = client_get(&w->client, "/api/v1/stats");
    if (status == STATUS_OK)
        buf_printf(&w->text, "{\"stats\":%s,", w->client.text.bytes);
    if (status == STATUS_OK)
        status = client_get(&w->client, "/api/v1/instances");
    if (status == STATUS_OK)
        buf_printf(&w->text, "\"instances\":%s}\n", w->client.text.bytes);
    return status;
}

static enum status look_text(struct watch *w)
{
    add_title(w);
    enum status status = client_get(&w->client, "/api/v1/stats");
    if (status == STATUS_OK)
        (void)show_stats(w->client.document, &w->text);
    if (status == STATUS_OK)
        status = client_get(&w->client, "/api/v1/instances");
    if (status == STATUS_OK) {
        buf_printf(&w->text, "\n%c", MARK);
        (void)show_instances(w->client.document, &w->text);
    }
    return status;
}

/* Without a terminal: as it is, without the marks. */
static void print(struct watch *w)
{
    for (size_t i = 0; i < w->text.len; i++) {
        if (w->text.bytes[i] != MARK)
            putchar(w->text.bytes[i]);
    }
    if (!w->is_json)
        putchar('\n');
    (void)fflush(stdout);
}

/* One look. A terminal stays open while the registry is away; without one, that is the end. */
static enum status look(struct watch *w)
{
    buf_clear(&w->text);
    enum status status = w->is_json ? look_json(w) : look_text(w);
    if (w->screen) {
        if (status != STATUS_OK)
            buf_printf(&w->text, "%s\n", w->client.why.bytes);
        screen_draw(w->screen, &w->text, MARK);
    } else if (status == STATUS_OK) {
        print(w);
    } else {
        fprintf(stderr, "heraldctl: %s\n", w->client.why.bytes);
    }
    return status;
}

/* False when it is to end. */
static bool pause_between(struct watch *w)
{
    if (w->screen)
        return screen_wait(w->screen, w->interval_ms) != SCREEN_QUIT;
    struct timespec pause = {(time_t)(w->interval_ms / 1000), (long)(w->interval_ms % 1000) * 1000000};
    return nanosleep(&pause, NULL) == 0 && !ferror(stdout);
}

static bool parse_count(const struct arguments *arguments, uint64_t *count_r)
{
    const char *text = arguments->values[ARGUMENT_COUNT];
    char *end;
    *count_r = UINT64_MAX;
    if (!text)
        return true;
    errno = 0;
    *count_r = strtoull(text, &end, 10);
    if (!errno && *text >= '0' && *text <= '9' && !*end && *count_r > 0)
        return true;
    fprintf(stderr, "heraldctl: --count: not a number above 0: %s\n", text);
    return false;
}

static enum status run(struct watch *w, const struct arguments *arguments)
{
    enum status status = client_init(&w->client, arguments);
    if (status != STATUS_OK)
        return status;
    if (!parse_count(arguments, &w->looks_left) ||
        argument_time(arguments, ARGUMENT_INTERVAL, INTERVAL_MS, INTERVAL_MIN_MS, INTERVAL_MAX_MS, &w->interval_ms) !=
            ERR_OK)
        return STATUS_USAGE;
    w->is_json = argument_is_given(arguments, ARGUMENT_JSON);
    w->screen = w->is_json ? NULL : screen_new();
    do
        status = look(w);
    while (--w->looks_left > 0 && (w->screen || status == STATUS_OK) && pause_between(w));
    screen_free(&w->screen);
    return status;
}

enum status cmd_watch(const struct arguments *arguments)
{
    struct watch w = {0};
    buf_init(&w.text);
    buf_init(&w.client.text);
    buf_init(&w.client.why);
    enum status status = run(&w, arguments);
    client_release(&w.client);
    buf_release(&w.text);
    return status;
}
