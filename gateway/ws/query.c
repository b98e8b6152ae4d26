#include "gateway/ws/query.h"

#include <stdbool.h>
#include <string.h>

#include "gateway/ws/utf8.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decoded text is never longer. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++, to++) {
        unsigned char b = (unsigned char)*from;
        if (b == '+') {
            b = ' ';
        } else if (b == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0)
                return false;
            b = (unsigned char)(high << 4 | low);
            from += 2;
        }
        if (b < ' ' || b == 0x7F)
            return false;
        *to = (char)b;
    }
    *to = '\0';
    return utf8_is_valid(text, (size_t)(to - text));
}

enum err query_next(char **cursor, const char **name_r, const char **value_r)
{
    *name_r = *value_r = NULL;
    char *name = *cursor;
    if (!name || *name == '\0')
        return ERR_OK;
    char *end = strchr(name, '&');
    *cursor = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    char *value = strchr(name, '=');
    if (value)
        *value++ = '\0';
    else
        value = name + strlen(name);
    if (!decode(name) || !decode(value))
        return ERR_INVALID;
    *name_r = name;
    *value_r = value;
    return ERR_OK;
}
