#include "gateway/ws/origin.h"

#include <string.h>
#include <strings.h>

static bool matches(const char *pattern, const char *origin)
{
    const char *star = strchr(pattern, '*');
    if (!star)
        return strcasecmp(pattern, origin) == 0;
    size_t head = (size_t)(star - pattern), tail = strlen(star + 1), len = strlen(origin);
    if (head + tail == 0)
        return true;
    if (len <= head + tail || strncasecmp(pattern, origin, head) != 0)
        return false;
    /* the star stands for labels of a host name: nothing that could end the authority earlier */
    size_t middle = len - head - tail;
    static const char label_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return strspn(origin + head, label_chars) >= middle && strcasecmp(origin + len - tail, star + 1) == 0;
}

bool origin_is_allowed(const struct option_list *allowed, const char *origin)
{
    if (allowed->count == 0 || !origin)
        return true;
    for (size_t i = 0; i < allowed->count; i++)
        if (matches(allowed->items[i], origin))
            return true;
    return false;
}
