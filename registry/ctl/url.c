#include "registry/ctl/url.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_DEFAULT "9280"

/* Copies the host at *at and moves behind it. */
static bool take_host(const char **at, struct url *url)
{
    const char *start = *at;
    size_t len;
    if (*start == '[') {
        start++;
        len = strcspn(start, "]");
        if (start[len] != ']')
            return false;
        *at = start + len + 1;
    } else {
        len = strcspn(start, ":/?#");
        *at = start + len;
    }
    if (len == 0 || len >= sizeof(url->host))
        return false;
    memcpy(url->host, start, len);
    url->host[len] = '\0';
    return true;
}

static bool take_port(const char **at, struct url *url)
{
    memcpy(url->port, PORT_DEFAULT, sizeof(PORT_DEFAULT));
    if (**at != ':')
        return true;
    const char *start = *at + 1;
    size_t len = strspn(start, "0123456789");
    if (len == 0 || len > 5 || strtoll(start, NULL, 10) > 65535 || strtoll(start, NULL, 10) == 0)
        return false;
    memcpy(url->port, start, len);
    url->port[len] = '\0';
    *at = start + len;
    return true;
}

static bool take_prefix(const char *at, struct url *url)
{
    size_t len = strlen(at);
    while (len > 0 && at[len - 1] == '/')
        len--;
    if (len >= sizeof(url->prefix) || strcspn(at, "?# \r\n") < len || (len > 0 && *at != '/'))
        return false;
    memcpy(url->prefix, at, len);
    url->prefix[len] = '\0';
    return true;
}

enum err url_parse(const char *text, struct url *url)
{
    *url = (struct url){0};
    const char *scheme_end = strstr(text, "://");
    if (scheme_end && strncasecmp(text, "http://", 7) != 0)
        return ERR_UNSUPPORTED;
    const char *at = scheme_end ? scheme_end + 3 : text;
    return take_host(&at, url) && take_port(&at, url) && take_prefix(at, url) ? ERR_OK : ERR_INVALID;
}

void url_add_escaped(struct buf *out, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if ((*at < 0x80 && isalnum(*at)) || strchr("-._~", *at))
            buf_add_char(out, (char)*at);
        else
            buf_printf(out, "%%%02X", *at);
    }
}
