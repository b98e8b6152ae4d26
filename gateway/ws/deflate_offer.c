#include "gateway/ws/deflate_offer.h"

#include <string.h>
#include <strings.h>

#include "gateway/ws/deflate.h"
#include "gateway/ws/deflater.h"

enum { WINDOW_BITS_MAX = 15 };

/* The next part of "name; param; param=value", without white space around it; NULL at the end. */
static char *next_part(char **cursor)
{
    if (!*cursor)
        return NULL;
    char *part = *cursor + strspn(*cursor, " \t");
    char *end = part + strcspn(part, ";");
    *cursor = *end ? end + 1 : NULL;
    while (end > part && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    return part;
}

/* The value behind `=`, cut off, without quotes; NULL: there is none. */
static char *cut_value(char *param)
{
    char *equals = strchr(param, '=');
    if (!equals)
        return NULL;
    *equals = '\0';
    char *value = equals + 1;
    size_t len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value[len - 1] = '\0';
        value++;
    }
    return value;
}

/* 8 to 15, in decimal without leading zeros; else 0. */
static int window_bits(const char *value)
{
    if (!value)
        return 0;
    if (value[0] == '1' && value[1] >= '0' && value[1] <= '5' && value[2] == '\0')
        return 10 + value[1] - '0';
    return (value[0] == '8' || value[0] == '9') && value[1] == '\0' ? value[0] - '0' : 0;
}

enum param { SERVER_NO_TAKEOVER, CLIENT_NO_TAKEOVER, SERVER_BITS, CLIENT_BITS, PARAM_COUNT };

static const char *const param_names[PARAM_COUNT] = {"server_no_context_takeover", "client_no_context_takeover",
                                                     "server_max_window_bits", "client_max_window_bits"};

static enum param param_of(const char *name)
{
    int i = 0;
    while (i < PARAM_COUNT && strcasecmp(param_names[i], name) != 0)
        i++;
    return (enum param)i;
}

/* *server_bits_r: the largest window of ours that the client can inflate. */
static bool is_good(enum param param, const char *value, int *server_bits_r)
{
    switch (param) {
    case SERVER_NO_TAKEOVER:
    case CLIENT_NO_TAKEOVER:
        return !value;
    case CLIENT_BITS: /* ours can inflate whatever the client's window */
        return !value || window_bits(value) > 0;
    case SERVER_BITS:
        *server_bits_r = window_bits(value);
        return *server_bits_r > 0;
    default:
        return false;
    }
}

static bool read_offer(char *offer, bool *is_given, int *server_bits_r)
{
    char *name = next_part(&offer);
    if (strcasecmp(name, "permessage-deflate") != 0)
        return false;
    for (char *part; (part = next_part(&offer));) {
        char *value = cut_value(part);
        enum param param = param_of(part);
        if (param == PARAM_COUNT || is_given[param] || !is_good(param, value, server_bits_r))
            return false;
        is_given[param] = true;
    }
    return true;
}

bool deflate_offer_accept(char *offer, int takeover_bits, struct deflate_terms *terms_r)
{
    bool is_given[PARAM_COUNT] = {false};
    int bits = WINDOW_BITS_MAX;
    *terms_r = (struct deflate_terms){0};
    if (!read_offer(offer, is_given, &bits) || bits < DEFLATER_BITS_MIN)
        return false;
    bool may_take_over = !is_given[SERVER_NO_TAKEOVER], is_takeover = may_take_over && takeover_bits > 0;
    int ours = !is_takeover ? DEFLATE_WINDOW_BITS : bits < takeover_bits ? bits : takeover_bits;
    if (ours > bits) /* the shared deflater has one window for all */
        return false;
    *terms_r = (struct deflate_terms){.is_agreed = true,
                                      .may_take_over = may_take_over,
                                      .is_takeover = is_takeover,
                                      .is_window_asked = is_given[SERVER_BITS],
                                      .window_bits = (uint8_t)ours};
    return true;
}

void deflate_offer_answer(const struct deflate_terms *terms, struct buf *out)
{
    buf_add_str(out, "permessage-deflate; ");
    if (!terms->is_takeover)
        buf_add_str(out, "server_no_context_takeover; ");
    buf_add_str(out, "client_no_context_takeover");
    if (terms->is_window_asked)
        buf_printf(out, "; server_max_window_bits=%d", terms->window_bits);
}
