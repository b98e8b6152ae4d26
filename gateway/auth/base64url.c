#include "gateway/auth/base64url.h"

#include <stdint.h>

/* By the character: its six bits and 1, or 0. A table, because a token is some 200 of them. */
static const uint8_t digits[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64};

enum err base64url_decode(const char *text, size_t len, unsigned char *out, size_t *len_r)
{
    const unsigned char *in = (const unsigned char *)text;
    uint32_t bits = 0;
    unsigned count = 0;
    size_t at = 0, i = 0;
    for (; i + 4 <= len; i += 4) {
        uint32_t a = digits[in[i]], b = digits[in[i + 1]], c = digits[in[i + 2]], d = digits[in[i + 3]];
        if (!a || !b || !c || !d)
            return ERR_INVALID;
        uint32_t whole = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        out[at++] = (unsigned char)(whole >> 16);
        out[at++] = (unsigned char)(whole >> 8);
        out[at++] = (unsigned char)whole;
    }
    for (; i < len; i++) {
        uint8_t digit = digits[in[i]];
        if (!digit)
            return ERR_INVALID;
        uint32_t value = digit - 1U;
        bits = bits << 6 | value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[at++] = (unsigned char)(bits >> count);
        }
    }
    if (len % 4 == 1 || (bits & ((1U << count) - 1)) != 0)
        return ERR_INVALID;
    *len_r = at;
    return ERR_OK;
}
