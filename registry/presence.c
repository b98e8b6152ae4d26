#include "registry/presence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

enum { ID_LEN_MAX = 256, ROUTE_LEN_MAX = 255 };

static bool take_number(char **at, uint64_t *value_r)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    *value_r = strtoull(*at, &end, 10);
    if (errno || (*end != ' ' && *end != '\0'))
        return false;
    *at = *end ? end + 1 : end;
    return true;
}

enum err route_parse(const char *text, size_t len, struct route *route_r)
{
    char copy[ROUTE_LEN_MAX + 1];
    if (len > ROUTE_LEN_MAX || memchr(text, '\0', len))
        return ERR_INVALID;
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *space = strchr(copy, ' ');
    if (!space || space == copy || space - copy >= PRESENCE_INSTANCE_MAX)
        return ERR_INVALID;
    *space = '\0';
    memcpy(route_r->instance, copy, (size_t)(space - copy) + 1);
    char *at = space + 1;
    if (!take_number(&at, &route_r->generation) || !take_number(&at, &route_r->connection) ||
        !take_number(&at, &route_r->since_ms) || *at != '\0')
        return ERR_INVALID;
    return ERR_OK;
}

bool route_is_valid(const struct route *route, const struct roster *roster)
{
    return roster_is_current(roster, route->instance, route->generation);
}

bool presence_is_id(const char *id)
{
    size_t len = strlen(id);
    if (len == 0 || len > ID_LEN_MAX)
        return false;
    for (size_t at = 0; at < len;) {
        size_t char_len = utf8_char_len(id + at, len - at);
        if (char_len == 0 || (unsigned char)id[at] < 0x20 || id[at] == 0x7f)
            return false;
        at += char_len;
    }
    return true;
}

enum err presence_split_ids(char *text, const char **ids_r, size_t max, size_t *count_r)
{
    *count_r = 0;
    char *rest = text, *part;
    while ((part = strsep(&rest, ","))) {
        if (!*part)
            continue;
        if (!presence_is_id(part))
            return ERR_INVALID;
        if (*count_r == max)
            return ERR_TOO_LARGE;
        ids_r[(*count_r)++] = part;
    }
    return *count_r > 0 ? ERR_OK : ERR_INVALID;
}
