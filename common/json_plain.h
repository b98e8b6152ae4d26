/* What of a JSON string stands for itself, eight bytes at a time. */
#ifndef HERALD_COMMON_JSON_PLAIN_H
#define HERALD_COMMON_JSON_PLAIN_H

#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "json_odd8() counts from the lowest byte");

/* Eight bytes at once: the high bit of each that is a quote, a backslash, below 0x20 or above 0x7f. Only the lowest
 * that is set can be relied on: a borrow may set those above it. */
static inline uint64_t json_odd8(const char *at)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    uint64_t w;
    memcpy(&w, at, 8);
    uint64_t quote = w ^ ones * '"', escape = w ^ ones * '\\';
    return (w | (w - ones * 0x20) | (quote - ones) | (escape - ones)) & highs;
}

/* The first byte that is not plain text; `end` when all are. */
static inline const char *json_skip_plain(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t odd = json_odd8(at);
        if (odd)
            return at + __builtin_ctzll(odd) / 8;
    }
    for (; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < 0x20 || c == '"' || c == '\\' || c > 0x7f)
            break;
    }
    return at;
}

#endif
