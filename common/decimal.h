/* Numbers in decimal where one is written for each message: a twentieth of what snprintf() takes for it. */
#ifndef HERALD_COMMON_DECIMAL_H
#define HERALD_COMMON_DECIMAL_H

#include <stdint.h>
#include <string.h>

enum { DECIMAL_MAX = 20 /* the longest, without a NUL */ };

static inline size_t decimal_len(uint64_t value)
{
    size_t len = 1;
    for (; value >= 10000; value /= 10000)
        len += 4;
    return len + (value >= 10) + (value >= 100) + (value >= 1000);
}

/* Writes it at `to`, without a NUL; returns where it ends. Two digits at a time: half of the divisions. */
static inline char *decimal_put_uint(char *to, uint64_t value)
{
    static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    char *end = to + decimal_len(value), *at = end;
    for (; value >= 100; value /= 100)
        memcpy(at -= 2, pairs + 2 * (value % 100), 2);
    if (value >= 10)
        memcpy(at - 2, pairs + 2 * value, 2);
    else
        at[-1] = (char)('0' + value);
    return end;
}

static inline char *decimal_put_int(char *to, int64_t value)
{
    if (value < 0)
        *to++ = '-';
    return decimal_put_uint(to, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

#endif
