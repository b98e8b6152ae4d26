/* A growing byte buffer for building text or frames; it may be reused over and over. Always NUL-terminated behind len.
 */
#ifndef HERALD_COMMON_BUF_H
#define HERALD_COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *bytes;
    size_t len, size;
};

void buf_init(struct buf *buf);
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf);
/* Room for at least `more` bytes behind len; returns where to write them (then raise len). */
char *buf_reserve(struct buf *buf, size_t more);
void buf_add(struct buf *buf, const void *bytes, size_t len);
/* Inline: of a literal the compiler knows the length. */
static inline void buf_add_str(struct buf *buf, const char *s)
{
    buf_add(buf, s, strlen(s));
}
void buf_add_char(struct buf *buf, char c);
void buf_add_uint(struct buf *buf, uint64_t value);
void buf_add_int(struct buf *buf, int64_t value);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes, escaped per RFC 8259 section 7. `s` is UTF-8. */
void buf_add_json_str(struct buf *buf, const char *s, size_t len);

#endif
