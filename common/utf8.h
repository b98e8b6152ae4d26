/* UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef HERALD_COMMON_UTF8_H
#define HERALD_COMMON_UTF8_H

#include <stddef.h>
#include <stdint.h>

static inline int utf8_is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* The length of the valid character that starts at s, of which len >= 1 bytes are there; 0 when it is not valid. */
static inline size_t utf8_char_len(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80)
        return 1;
    if (u[0] < 0xc2 || u[0] > 0xf4 || len < 2)
        return 0;
    if (u[0] < 0xe0)
        return utf8_is_tail(u[1]) ? 2 : 0;
    if (len < 3 || !utf8_is_tail(u[1]) || !utf8_is_tail(u[2]))
        return 0;
    if (u[0] < 0xf0) {
        if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f))
            return 0;
        return 3;
    }
    if (len < 4 || !utf8_is_tail(u[3]))
        return 0;
    if ((u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
        return 0;
    return 4;
}

/* Writes a code point that is no surrogate and not above U+10FFFF; returns how many bytes of out it took. */
static inline size_t utf8_put(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

#endif
