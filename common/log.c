#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "utf8.h"

enum {
    LINE_SIZE = 8192,
    LINE_RESERVE = 64, /* at the end of a line, for the mark that fields were left out, and what closes it */
    VALUE_MAX = 1024,  /* bytes of one value that are shown */
    NAME_SIZE = 64,
    LIMIT_MS = 1000
};

/* The one place for settings that every line needs; set once at start, read only after that. */
static struct {
    enum log_level level;
    enum log_format format;
    int fd;
    char component[NAME_SIZE], instance[NAME_SIZE];
} settings = {.level = LOG_INFO, .fd = STDERR_FILENO};

/* A line under composition. What does not fit sets is_cut, and the field is taken back as a whole. */
struct line {
    size_t len, limit;
    bool is_cut;
    char text[LINE_SIZE];
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char cut_mark[] = "...";

void log_setup(enum log_level level, enum log_format format, const char *component, const char *instance)
{
    settings.level = level;
    settings.format = format;
    snprintf(settings.component, sizeof(settings.component), "%s", component ? component : "");
    snprintf(settings.instance, sizeof(settings.instance), "%s", instance ? instance : "");
}

bool log_enabled(enum log_level level)
{
    return level <= settings.level;
}

void log_set_fd(int fd)
{
    settings.fd = fd;
}

bool log_limit_pass(struct log_limit *limit, uint64_t *suppressed_r)
{
    uint64_t now_ms = clock_mono_ms();
    if (limit->last_ms && now_ms - limit->last_ms < LIMIT_MS) {
        limit->suppressed++;
        return false;
    }
    *suppressed_r = limit->suppressed;
    limit->suppressed = 0;
    limit->last_ms = now_ms;
    return true;
}

static void put(struct line *line, const char *s, size_t len)
{
    if (len > line->limit - line->len) {
        line->is_cut = true;
        return;
    }
    memcpy(line->text + line->len, s, len);
    line->len += len;
}

static void put_str(struct line *line, const char *s)
{
    put(line, s, strlen(s));
}

static void put_format(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put_format(struct line *line, const char *format, ...)
{
    char text[64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put_str(line, text);
}

/* Control characters, C1 ones too, could drive a terminal or break a line: never shown as they are. */
static bool is_control(const char *s, size_t char_len)
{
    unsigned char c = (unsigned char)s[0];
    return (char_len == 1 && (c < 0x20 || c == 0x7f)) || (char_len == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

static void put_escape(struct line *line, unsigned char c)
{
    if (c == '"' || c == '\\')
        put_format(line, "\\%c", c);
    else if (c == '\n')
        put_str(line, "\\n");
    else if (c == '\t')
        put_str(line, "\\t");
    else if (c == '\r')
        put_str(line, "\\r");
    else if (settings.format == LOG_FORMAT_JSON)
        put_format(line, "\\u%04x", c < 0x80 ? c : 0xfffdU);
    else
        put_format(line, "\\x%02x", c);
}

static void put_quoted(struct line *line, const char *s, size_t len, bool is_long)
{
    put(line, "\"", 1);
    for (size_t i = 0; i < len;) {
        size_t n = utf8_char_len(s + i, len - i);
        if (n == 0 && is_long && len - i < 4)
            break; /* the cut went through a character */
        if (n == 0 || is_control(s + i, n) || s[i] == '"' || s[i] == '\\') {
            size_t step = n ? n : 1;
            for (size_t k = 0; k < step; k++)
                put_escape(line, (unsigned char)s[i + k]);
            i += step;
        } else {
            put(line, s + i, n);
            i += n;
        }
    }
    if (is_long)
        put_str(line, cut_mark);
    put(line, "\"", 1);
}

static bool is_bare(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return len > 0;
}

static void put_text(struct line *line, const char *s, size_t len)
{
    bool is_long = len > VALUE_MAX;
    if (is_long)
        len = VALUE_MAX;
    if (settings.format == LOG_FORMAT_TEXT && !is_long && is_bare(s, len))
        put(line, s, len);
    else
        put_quoted(line, s, len, is_long);
}

static void put_key(struct line *line, const char *key)
{
    if (settings.format == LOG_FORMAT_TEXT)
        put_format(line, line->len ? " %.40s=" : "%.40s=", key);
    else
        put_format(line, line->len > 1 ? ",\"%.40s\":" : "\"%.40s\":", key);
}

static void put_value(struct line *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_FIELD_STR:
        if (!field->str)
            put_text(line, "", 0);
        else /* never read far into a text whose end is not known */
            put_text(line, field->str, field->len == SIZE_MAX ? strnlen(field->str, VALUE_MAX + 1) : field->len);
        break;
    case LOG_FIELD_INT:
        put_format(line, "%" PRId64, field->i);
        break;
    case LOG_FIELD_UINT:
        put_format(line, "%" PRIu64, field->u);
        break;
    case LOG_FIELD_BOOL:
        put_str(line, field->u ? "true" : "false");
        break;
    case LOG_FIELD_DOUBLE:
        if (settings.format == LOG_FORMAT_JSON && !isfinite(field->d))
            put_str(line, "null");
        else
            put_format(line, "%.9g", field->d);
        break;
    case LOG_FIELD_END:
        break;
    }
}

static void put_field(struct line *line, const struct log_field *field)
{
    size_t start = line->len;
    put_key(line, field->key);
    put_value(line, field);
    if (line->is_cut)
        line->len = start;
}

static void put_time(struct line *line)
{
    uint64_t now_ms = clock_wall_ms();
    time_t now = (time_t)(now_ms / 1000);
    struct tm tm;
    char day[32], text[48];
    gmtime_r(&now, &tm);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof(text), "%s.%03uZ", day, (unsigned)(now_ms % 1000));
    put_field(line, &F_STR("ts", text));
}

static void send_line(const struct line *line)
{
    int saved = errno;
    ssize_t n;
    do
        n = write(settings.fd, line->text, line->len);
    while (n < 0 && errno == EINTR);
    /* Whoever reads the log too slowly, or not at all, must not stop the daemon: the line is lost. */
    errno = saved;
}

void log_write(enum log_level level, uint64_t suppressed, const char *msg, const struct log_field *fields)
{
    struct line line;
    line.len = 0;
    line.limit = LINE_SIZE - LINE_RESERVE;
    line.is_cut = false;
    if (settings.format == LOG_FORMAT_JSON)
        put(&line, "{", 1);
    put_time(&line);
    put_field(&line, &F_STR("level", level_names[level]));
    if (settings.component[0])
        put_field(&line, &F_STR("component", settings.component));
    if (settings.instance[0])
        put_field(&line, &F_STR("instance", settings.instance));
    put_field(&line, &F_STR("msg", msg));
    for (; fields->kind != LOG_FIELD_END && !line.is_cut; fields++)
        put_field(&line, fields);
    bool is_cut = line.is_cut;
    line.limit = LINE_SIZE;
    line.is_cut = false;
    if (suppressed)
        put_field(&line, &F_UINT("suppressed", suppressed));
    if (is_cut)
        put_field(&line, &F_BOOL("cut", true));
    put_str(&line, settings.format == LOG_FORMAT_JSON ? "}\n" : "\n");
    send_line(&line);
}
