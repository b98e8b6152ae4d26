#include "gateway/session/client_message.h"

static const char *const field_names[] = {
#define X(name, text) text,
    CLIENT_FIELD_LIST(X)
#undef X
};

static enum client_message_type find_type(const struct json_span *span)
{
    static const char *const names[] = {
#define X(name, text) text,
        CLIENT_MESSAGE_LIST(X)
#undef X
    };
    for (int type = 0; type < CLIENT_MESSAGE_UNKNOWN; type++)
        if (json_span_is(span, names[type]))
            return (enum client_message_type)type;
    return CLIENT_MESSAGE_UNKNOWN;
}

void client_message_parse(const char *text, size_t len, struct client_message *message_r, const char **why_r)
{
    size_t at;
    *why_r = NULL;
    *message_r = (struct client_message){.type = CLIENT_MESSAGE_BAD};
    if (json_scan_object(text, len, field_names, CLIENT_FIELD_COUNT, message_r->fields, why_r, &at) != ERR_OK)
        return;
    message_r->type = find_type(&message_r->fields[CLIENT_FIELD_TYPE]);
}

enum err client_message_str(const struct client_message *message, enum client_field field, struct buf *scratch,
                            const char **str_r, size_t *len_r)
{
    const struct json_span *span = &message->fields[field];
    *str_r = NULL;
    *len_r = 0;
    return span->kind == JSON_NONE ? ERR_OK : json_span_str(span, scratch, str_r, len_r);
}
