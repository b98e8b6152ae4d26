#include "gateway/auth/identity.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at `at`, 0 when it is none; code_r is what it stands for. */
static size_t utf8_at(const unsigned char *at, size_t len, uint32_t *code_r)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = at[0] < 0x80 ? 1 : at[0] >= 0xC2 && at[0] < 0xE0 ? 2 : (at[0] & 0xF0) == 0xE0 ? 3 : 4;
    if (size > len || at[0] > 0xF4 || (at[0] >= 0x80 && at[0] < 0xC2))
        return 0;
    uint32_t code = size == 1 ? at[0] : at[0] & (0xFFU >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3FU);
    }
    if (code < least[size] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    *code_r = code;
    return size;
}

static const char *check_text(const char *text, size_t len, bool has_braces_barred)
{
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t size = utf8_at((const unsigned char *)text + i, len - i, &code);
        if (size == 0)
            return "not valid UTF-8";
        if (code < 0x20 || (code >= 0x7F && code < 0xA0))
            return "control characters are not allowed";
        if (has_braces_barred && (code == '{' || code == '}'))
            return "braces are not allowed in a user id";
        i += size;
    }
    return NULL;
}

const char *identity_check_user(const char *user, size_t len)
{
    if (len == 0)
        return "the user id is empty";
    if (len >= sizeof CANARY_USER_PREFIX - 1 && memcmp(user, CANARY_USER_PREFIX, sizeof CANARY_USER_PREFIX - 1) == 0)
        return "user ids that begin with " CANARY_USER_PREFIX " are taken";
    return len > USER_LEN_MAX ? "the user id is longer than 128 bytes" : check_text(user, len, true);
}

const char *identity_check_device(const char *device, size_t len)
{
    if (len == 0)
        return "the device id is empty";
    return len > DEVICE_LEN_MAX ? "the device id is longer than 64 bytes" : check_text(device, len, false);
}

void identity_of_canary(const char *instance, struct identity *identity_r)
{
    *identity_r = (struct identity){.device = "canary"};
    snprintf(identity_r->user, sizeof identity_r->user, CANARY_USER_PREFIX "%s", instance);
}
