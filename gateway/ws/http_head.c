#include "gateway/ws/http_head.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/check.h"

enum { METHOD_MAX = 16 };

enum step {
    STEP_METHOD,
    STEP_TARGET,
    STEP_VERSION,
    STEP_LINE_END,
    STEP_FIELD,
    STEP_NAME,
    STEP_VALUE_START,
    STEP_VALUE,
    STEP_FIELD_END,
    STEP_HEAD_END,
    STEP_DONE
};

/* Offsets into the text, which moves while it grows. */
struct field {
    uint16_t name, value, value_end;
};

struct http_head {
    struct buf text;
    size_t max_bytes;
    enum step step;
    int status;
    const char *why;
    uint16_t start; /* of what is being read: the target, the version */
    uint16_t target;
    unsigned field_count;
    struct field fields[HTTP_HEAD_FIELDS_MAX];
};

struct http_head *http_head_new(void)
{
    struct http_head *h = xcalloc(1, sizeof(*h));
    buf_init(&h->text);
    return h;
}

static void wipe(struct http_head *h)
{
    if (h->text.len > 0)
        explicit_bzero(h->text.bytes, h->text.len);
    buf_clear(&h->text);
}

void http_head_free(struct http_head **head)
{
    if (!*head)
        return;
    wipe(*head);
    buf_release(&(*head)->text);
    free(*head);
    *head = NULL;
}

void http_head_clear(struct http_head *h, size_t max_bytes)
{
    CHECK(max_bytes <= HTTP_HEAD_BYTES_MAX);
    wipe(h);
    h->max_bytes = max_bytes;
    h->step = STEP_METHOD;
    h->status = 0;
    h->why = NULL;
    h->start = h->target = 0;
    h->field_count = 0;
}

static bool fail(struct http_head *h, int status, const char *why)
{
    h->status = status;
    h->why = why;
    return false;
}

/* Bytes that change nothing where they stand: most of a head, and taken in one go (see plain_run). */
enum { IN_NAME = 1, IN_VALUE = 2, IN_TARGET = 4, IN_TEXT = IN_VALUE | IN_TARGET, IN_ALL = IN_TEXT | IN_NAME };

static const uint8_t plain[256] = {
    ['!'] = IN_ALL,
    ['"'] = IN_TEXT,
    ['#'] = IN_NAME | IN_VALUE,
    ['$' ... '\''] = IN_ALL,
    ['(' ... ')'] = IN_TEXT,
    ['*' ... '+'] = IN_ALL,
    [','] = IN_TEXT,
    ['-' ... '.'] = IN_ALL,
    ['/'] = IN_TEXT,
    ['0' ... '9'] = IN_ALL,
    [':' ... '@'] = IN_TEXT,
    ['A' ... 'Z'] = IN_ALL,
    ['[' ... ']'] = IN_TEXT,
    ['^' ... 'z'] = IN_ALL,
    ['{'] = IN_TEXT,
    ['|'] = IN_ALL,
    ['}'] = IN_TEXT,
    ['~'] = IN_ALL,
    [0x80 ... 0xFF] = IN_VALUE,
};

/* RFC 9110 section 5.6.2 */
static bool is_token_char(unsigned char b)
{
    return plain[b] & IN_NAME;
}

static bool on_method(struct http_head *h, unsigned char b, uint16_t at)
{
    if (b == ' ' && at > 0) {
        h->target = at + 1;
        h->step = STEP_TARGET;
        return true;
    }
    if (!is_token_char(b) || at >= METHOD_MAX)
        return fail(h, 400, "bad request line");
    return true;
}

static bool on_target(struct http_head *h, unsigned char b, uint16_t at)
{
    if (b == ' ' && at > h->target) {
        h->start = at + 1;
        h->step = STEP_VERSION;
        return true;
    }
    if (b <= ' ' || b >= 0x7F || b == '#')
        return fail(h, 400, "bad request target");
    return true;
}

static bool on_version(struct http_head *h, unsigned char b, uint16_t at)
{
    static const char version[] = "HTTP/1.1\r";
    size_t index = at - h->start;
    if (b != (unsigned char)version[index])
        return fail(h, 400, "HTTP/1.1 is required");
    if (b == '\r')
        h->step = STEP_LINE_END;
    return true;
}

static bool on_line_end(struct http_head *h, unsigned char b, enum step next)
{
    if (b != '\n')
        return fail(h, 400, "a line must end with CR LF");
    h->step = next;
    return true;
}

static bool on_field(struct http_head *h, unsigned char b, uint16_t at)
{
    if (b == '\r') {
        h->step = STEP_HEAD_END;
        return true;
    }
    if (b == ' ' || b == '\t')
        return fail(h, 400, "folded header field");
    if (!is_token_char(b))
        return fail(h, 400, "bad header field name");
    if (h->field_count == HTTP_HEAD_FIELDS_MAX)
        return fail(h, 431, "too many header fields");
    h->fields[h->field_count++] = (struct field){.name = at};
    h->step = STEP_NAME;
    return true;
}

static bool on_name(struct http_head *h, unsigned char b)
{
    if (b == ':')
        h->step = STEP_VALUE_START;
    else if (!is_token_char(b))
        return fail(h, 400, "bad header field name");
    return true;
}

static bool on_value(struct http_head *h, unsigned char b, uint16_t at)
{
    struct field *f = &h->fields[h->field_count - 1];
    bool is_space = b == ' ' || b == '\t';
    if (h->step == STEP_VALUE_START) {
        f->value = f->value_end = at;
        if (is_space)
            return true;
        h->step = STEP_VALUE;
    }
    if (b == '\r')
        h->step = STEP_FIELD_END;
    else if ((b < ' ' && b != '\t') || b == 0x7F)
        return fail(h, 400, "bad header field value");
    else if (!is_space)
        f->value_end = at + 1;
    return true;
}

static bool take(struct http_head *h, unsigned char b, uint16_t at)
{
    switch (h->step) {
    case STEP_METHOD:
        return on_method(h, b, at);
    case STEP_TARGET:
        return on_target(h, b, at);
    case STEP_VERSION:
        return on_version(h, b, at);
    case STEP_LINE_END:
    case STEP_FIELD_END:
        return on_line_end(h, b, STEP_FIELD);
    case STEP_FIELD:
        return on_field(h, b, at);
    case STEP_NAME:
        return on_name(h, b);
    case STEP_VALUE_START:
    case STEP_VALUE:
        return on_value(h, b, at);
    case STEP_HEAD_END:
        return on_line_end(h, b, STEP_DONE);
    case STEP_DONE:
        break;
    }
    CHECK(!"fed after the end");
    return false;
}

/* Every name and value is followed by a byte that is not needed any more. */
static void terminate_strings(struct http_head *h)
{
    char *text = h->text.bytes;
    *strchr(text, ' ') = '\0';
    text[h->start - 1] = '\0';
    for (unsigned i = 0; i < h->field_count; i++) {
        text[h->fields[i].value_end] = '\0';
        *strchr(text + h->fields[i].name, ':') = '\0';
    }
}

static bool has_valid_host(struct http_head *h)
{
    if (!http_head_field(h, "Host", 0))
        return fail(h, 400, "Host is missing");
    if (http_head_field(h, "Host", 1))
        return fail(h, 400, "Host is given twice");
    return true;
}

static bool has_no_body(struct http_head *h)
{
    if (http_head_field(h, "Transfer-Encoding", 0))
        return fail(h, 400, "Transfer-Encoding is not accepted here");
    const char *length = http_head_field(h, "Content-Length", 0);
    if (!length)
        return true;
    if (http_head_field(h, "Content-Length", 1) || *length == '\0' || length[strspn(length, "0123456789")] != '\0')
        return fail(h, 400, "bad Content-Length");
    if (length[strspn(length, "0")] != '\0')
        return fail(h, 413, "a body is not accepted here");
    return true;
}

/* How many of the bytes that follow change no step: 75 instructions a byte become 6. */
static size_t plain_run(const struct http_head *h, const char *bytes, size_t len)
{
    uint8_t kind = h->step == STEP_VALUE    ? IN_VALUE
                   : h->step == STEP_NAME   ? IN_NAME
                   : h->step == STEP_TARGET ? IN_TARGET
                                            : 0;
    size_t room = h->max_bytes - h->text.len, run = 0;
    len = len < room ? len : room;
    while (run < len && plain[(unsigned char)bytes[run]] & kind)
        run++;
    return run;
}

static void take_run(struct http_head *h, const char *bytes, size_t len)
{
    if (len == 0)
        return;
    buf_add(&h->text, bytes, len);
    if (h->step == STEP_VALUE)
        h->fields[h->field_count - 1].value_end = (uint16_t)h->text.len;
}

enum http_head_state http_head_feed(struct http_head *h, const char *bytes, size_t len, size_t *used_r)
{
    for (size_t i = 0; i < len && h->step != STEP_DONE; i++) {
        size_t run = plain_run(h, bytes + i, len - i);
        take_run(h, bytes + i, run);
        i += run;
        if (i == len)
            break;
        *used_r = i + 1;
        if (h->text.len >= h->max_bytes) {
            bool is_target = h->step == STEP_TARGET;
            fail(h, is_target ? 414 : 431, is_target ? "request target too long" : "request head too large");
            return HTTP_HEAD_BAD;
        }
        *buf_reserve(&h->text, 1) = bytes[i];
        h->text.len++;
        if (!take(h, (unsigned char)bytes[i], (uint16_t)(h->text.len - 1)))
            return HTTP_HEAD_BAD;
    }
    if (h->step != STEP_DONE) {
        *used_r = len;
        return HTTP_HEAD_MORE;
    }
    terminate_strings(h);
    return has_valid_host(h) && has_no_body(h) ? HTTP_HEAD_DONE : HTTP_HEAD_BAD;
}

int http_head_status(const struct http_head *h)
{
    return h->status;
}

const char *http_head_why(const struct http_head *h)
{
    return h->why;
}

char *http_head_method(struct http_head *h)
{
    return h->text.bytes;
}

char *http_head_target(struct http_head *h)
{
    return h->text.bytes + h->target;
}

char *http_head_field(struct http_head *h, const char *name, unsigned nth)
{
    for (unsigned i = 0; i < h->field_count; i++) {
        const char *at = h->text.bytes + h->fields[i].name;
        bool is_like = ((*at ^ *name) & ~0x20) == 0; /* most are told apart by it */
        if (is_like && strcasecmp(at, name) == 0 && nth-- == 0)
            return h->text.bytes + h->fields[i].value;
    }
    return NULL;
}
