#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "decimal.h"
#include "json_plain.h"
#include "utf8.h"

enum { FIRST_SIZE = 128 };

/* What an empty buffer points to, so that its bytes are always a string. Never written: its size is 0. */
static char nothing[1];

void buf_init(struct buf *buf)
{
    buf->bytes = nothing;
    buf->len = buf->size = 0;
}

void buf_release(struct buf *buf)
{
    if (buf->size)
        free(buf->bytes);
    buf_init(buf);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    if (buf->size)
        buf->bytes[0] = '\0';
}

static __attribute__((noinline)) void grow(struct buf *buf, size_t more)
{
    CHECK(more < SIZE_MAX / 4 && buf->len < SIZE_MAX / 4);
    size_t need = buf->len + more + 1, size = buf->size ? buf->size : FIRST_SIZE;
    while (size < need)
        size *= 2;
    buf->bytes = xrealloc(buf->size ? buf->bytes : NULL, size);
    buf->size = size;
}

char *buf_reserve(struct buf *buf, size_t more)
{
    if (buf->size - buf->len <= more) /* len is below size, or both are 0 */
        grow(buf, more);
    return buf->bytes + buf->len;
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
    char *to = buf_reserve(buf, len);
    if (len)
        memcpy(to, bytes, len);
    buf->len += len;
    buf->bytes[buf->len] = '\0';
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_add_uint(struct buf *buf, uint64_t value)
{
    char digits[DECIMAL_MAX];
    const char *end = decimal_put_uint(digits, value);
    buf_add(buf, digits, (size_t)(end - digits));
}

void buf_add_int(struct buf *buf, int64_t value)
{
    char digits[DECIMAL_MAX];
    const char *end = decimal_put_int(digits, value);
    buf_add(buf, digits, (size_t)(end - digits));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    vsnprintf(buf_reserve(buf, (size_t)len), (size_t)len + 1, format, again);
    va_end(again);
    buf->len += (size_t)len;
}

static void add_json_escape(struct buf *buf, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (c == '"' || c == '\\') {
        buf_add(buf, (char[]){'\\', (char)c}, 2);
    } else if (c < 0x20 && shorts[c]) {
        buf_add(buf, (char[]){'\\', shorts[c]}, 2);
    } else if (c < 0x20) {
        buf_add(buf, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
    } else {
        buf_add_str(buf, "\xef\xbf\xbd"); /* U+FFFD for a byte that is not UTF-8: what we write is always valid */
    }
}

void buf_add_json_str(struct buf *buf, const char *s, size_t len)
{
    buf_add_char(buf, '"');
    size_t done = 0, i = 0;
    while ((i = (size_t)(json_skip_plain(s + i, s + len) - s)) < len) {
        unsigned char c = (unsigned char)s[i];
        size_t n = c >= 0x80 ? utf8_char_len(s + i, len - i) : 0;
        if (n) {
            i += n;
            continue;
        }
        buf_add(buf, s + done, i - done);
        add_json_escape(buf, c);
        done = ++i;
    }
    buf_add(buf, s + done, len - done);
    buf_add_char(buf, '"');
}
