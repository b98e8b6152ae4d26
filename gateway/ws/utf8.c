#include "gateway/ws/utf8.h"

#include <string.h>

static bool start_char(struct utf8 *u, unsigned char b)
{
    if (b < 0xC2 || b > 0xF4)
        return false;
    u->left = b < 0xE0 ? 1 : b < 0xF0 ? 2 : 3;
    u->low = b == 0xE0 ? 0xA0 : b == 0xF0 ? 0x90 : 0x80;
    u->high = b == 0xED ? 0x9F : b == 0xF4 ? 0x8F : 0xBF;
    return true;
}

static size_t ascii_run(const char *bytes, size_t len)
{
    size_t at = 0;
    uint64_t word;
    for (; len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, bytes + at, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (at < len && (unsigned char)bytes[at] < 0x80)
        at++;
    return at;
}

bool utf8_feed(struct utf8 *u, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (u->left == 0) {
            i += ascii_run(bytes + i, len - i);
            if (i == len)
                break;
            if (!start_char(u, (unsigned char)bytes[i]))
                return false;
            continue;
        }
        unsigned char b = (unsigned char)bytes[i];
        if (b < u->low || b > u->high)
            return false;
        u->left--;
        u->low = 0x80;
        u->high = 0xBF;
    }
    return true;
}

bool utf8_is_complete(const struct utf8 *u)
{
    return u->left == 0;
}

bool utf8_is_valid(const char *bytes, size_t len)
{
    struct utf8 u = {0};
    return utf8_feed(&u, bytes, len) && utf8_is_complete(&u);
}
