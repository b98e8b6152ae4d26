/* Numbers in decimal where one is written for each message: a twentieth of what snprintf() takes for it. */
#ifndef HERALD_COMMON_DECIMAL_H
#define HERALD_COMMON_DECIMAL_H

#include <stdint.h>
#include <string.h>

enum { DECIMAL_MAX = 20 /* the longest, without a NUL */ };

/* Writes it at `to`, without a NUL; returns where it ends. */
static inline char *decimal_put_uint(char *to, uint64_t value)
{
    char digits[DECIMAL_MAX];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    memcpy(to, digits + at, sizeof digits - at);
    return to + (sizeof digits - at);
}

static inline char *decimal_put_int(char *to, int64_t value)
{
    if (value < 0)
        *to++ = '-';
    return decimal_put_uint(to, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

#endif
