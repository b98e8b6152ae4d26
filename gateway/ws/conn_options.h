/*
 * The option rows of struct conn_settings, for the gateway's option table:
 *
 *     const struct option gateway_options[] = {CONN_OPTION_ROWS(struct gateway_settings, conn) ... {0}};
 */
#ifndef HERALD_GATEWAY_WS_CONN_OPTIONS_H
#define HERALD_GATEWAY_WS_CONN_OPTIONS_H

#include <stddef.h>

#include "common/option.h"
#include "gateway/ws/conn.h"

/* X(type, field, section, key, kind, member of struct conn_settings, fallback, min, max, help) */
#define CONN_OPTION_LIST(X, type, field)                                                                               \
    X(type, field, "ws", "path", STRING, path, "/ws", 0, 0, "Path of the WebSocket endpoint.")                         \
    X(type, field, "ws", "origins", LIST, origins, "", 0, 0,                                                           \
      "Origins whose pages may connect, such as https://app.example.com or https://*.example.com; "                    \
      "empty: all. Clients that send no Origin are not browsers and are always let in.")                               \
    X(type, field, "ws", "message_max", SIZE, message_max, "64KiB", 125, 16 << 20,                                     \
      "Longest message taken from a client, all its fragments together; a longer one closes with 1009.")               \
    X(type, field, "ws", "head_max", SIZE, head_max, "8KiB", 512, 65535,                                               \
      "Longest HTTP request head; a longer one is answered with 431 or 414.")                                          \
    X(type, field, "ws", "head_timeout", DURATION, head_timeout_ms, "10s", 100, 120000,                                \
      "Time from the accept on within which the HTTP request head must be complete.")                                  \
    X(type, field, "ws", "auth_timeout", DURATION, auth_timeout_ms, "8s", 100, 120000,                                 \
      "Time from the accept on within which a client must authenticate, else it is closed with 4408.")                 \
    X(type, field, "ws", "idle_timeout", DURATION, idle_timeout_ms, "60s", 500, 600000,                                \
      "A client from which nothing was heard for so long, not even a pong, is closed with 4408.")                      \
    X(type, field, "ws", "ping_interval", DURATION, ping_interval_ms, "25s", 0, 600000,                                \
      "A connection on which nothing was written for so long is sent a ping; 0: never.")                               \
    X(type, field, "ws", "close_timeout", DURATION, close_timeout_ms, "5s", 100, 60000,                                \
      "How long a closing connection may take to write what is queued and to answer the close frame.")                 \
    X(type, field, "ws", "deflate", BOOL, is_deflate, "true", 0, 0,                                                    \
      "Accept permessage-deflate from clients that offer it, as browsers do; without context takeover, "               \
      "unless ws.takeover_memory allows it.")                                                                          \
    X(type, field, "ws", "deflate_min", SIZE, deflate_min, "512", 1, 16 << 20,                                         \
      "Shorter messages are sent as they are, also where permessage-deflate was agreed on.")                           \
    X(type, field, "ws", "deflate_level", INT, deflate_level, "1", 1, 9, "1: fastest, 9: shortest.")                   \
    X(type, field, "ws", "takeover_memory", SIZE, takeover.budget, "0", 0, INT64_C(64) << 30,                          \
      "Memory of a worker for permessage-deflate with context takeover, where the client does not decline it: "        \
      "connections that keep a window from message to message, 22 KiB each with 11 bits; those that come "             \
      "when it is spent have none. 0: off.")                                                                           \
    X(type, field, "ws", "takeover_bits", INT, takeover.window_bits, "11", 9, 15,                                      \
      "Of such a window: 2 KiB with 11 bits. Memory doubles with each from 12 on.")                                    \
    X(type, field, "ws", "takeover_min", SIZE, takeover.min_len, "64", 1, 16 << 20,                                    \
      "What ws.deflate_min is for the others.")                                                                        \
    X(type, field, "limit", "queue_bytes", SIZE, queue_max_bytes, "1MiB", 4096, 256 << 20,                             \
      "Most that may be queued for one connection, each frame counting 64 bytes more than its length; "                \
      "what goes beyond is dropped.")                                                                                  \
    X(type, field, "limit", "queue_age", DURATION, queue_max_age_ms, "10s", 100, 600000,                               \
      "A connection whose oldest queued frame has waited for so long is closed with 4008.")                            \
    X(type, field, "limit", "connections", INT, connections_max, "20000", 1, 1000000,                                  \
      "Most connections of one worker; more are answered with 503.")                                                   \
    X(type, field, "limit", "unauthenticated", INT, unauthenticated_max, "10000", 1, 1000000,                          \
      "Most connections of one worker that have not authenticated yet; more are answered with 503.")                   \
    X(type, field, "limit", "connect_rate", INT, connect_rate, "5000", 0, 1000000,                                     \
      "New connections that a worker takes a second; others are answered with 503 and a Retry-After, before their "    \
      "token is looked at. 0: any number.")                                                                            \
    X(type, field, "limit", "connect_burst", INT, connect_burst, "10000", 1, 1000000,                                  \
      "New connections that it takes at once, when there were few before.")                                            \
    X(type, field, "limit", "retry_after_max", DURATION, retry_max_ms, "60s", 1000, 3600000,                           \
      "Longest Retry-After that these are told.")                                                                      \
    X(type, field, "ws", "accept_batch", INT, accept_batch, "64", 1, 4096,                                             \
      "New connections accepted in one turn of a worker, before those that are there are served again.")

#define CONN_OPTION_ROW(type, field, section, key, kind, member, fallback, min, max, help)                             \
    {section, key, OPTION_##kind, offsetof(type, field.member), fallback, min, max, NULL, help},
/* Ends with a comma. */
#define CONN_OPTION_ROWS(type, field) CONN_OPTION_LIST(CONN_OPTION_ROW, type, field)

#endif
