/* A client's JSON message: its type, and the members that any type has, as spans of the text. Pure. */
#ifndef HERALD_GATEWAY_SESSION_CLIENT_MESSAGE_H
#define HERALD_GATEWAY_SESSION_CLIENT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/json_scan.h"

/* UNKNOWN: a type that is not one of these, or none. BAD: not a JSON object. */
#define CLIENT_MESSAGE_LIST(X)                                                                                         \
    X(AUTH, "auth")                                                                                                    \
    X(HEARTBEAT, "heartbeat")                                                                                          \
    X(ACK, "ack")                                                                                                      \
    X(MESSAGE, "message")                                                                                              \
    X(UNKNOWN, "unknown")                                                                                              \
    X(BAD, "bad")

enum client_message_type {
#define X(name, text) CLIENT_MESSAGE_##name,
    CLIENT_MESSAGE_LIST(X)
#undef X
        CLIENT_MESSAGE_TYPE_COUNT
};

#define CLIENT_FIELD_LIST(X)                                                                                           \
    X(TYPE, "type")                                                                                                    \
    X(USER, "userId")                                                                                                  \
    X(TOKEN, "token")                                                                                                  \
    X(DEVICE, "deviceId")                                                                                              \
    X(SEQ, "seq")                                                                                                      \
    X(ID, "id")                                                                                                        \
    X(TO, "to")                                                                                                        \
    X(CONTENT, "content")

enum client_field {
#define X(name, text) CLIENT_FIELD_##name,
    CLIENT_FIELD_LIST(X)
#undef X
        CLIENT_FIELD_COUNT
};

struct client_message {
    enum client_message_type type;
    struct json_span fields[CLIENT_FIELD_COUNT];
};

/* Fills message_r; of type BAD, *why_r is then the scanner's reason, else NULL. Spans point into text. */
void client_message_parse(const char *text, size_t len, struct client_message *message_r, const char **why_r);
/* A string member: NULL when it is absent. ERR_INVALID when it is there and no string. */
enum err client_message_str(const struct client_message *message, enum client_field field, struct buf *scratch,
                            const char **str_r, size_t *len_r) MUST_CHECK;

#endif
