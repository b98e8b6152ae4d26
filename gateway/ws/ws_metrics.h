/* The metrics of gateway/ws: X(id, kind, name, help, label, label values). gateway/metrics.h makes METRIC_<id> of each.
 */
#ifndef HERALD_GATEWAY_WS_WS_METRICS_H
#define HERALD_GATEWAY_WS_WS_METRICS_H

#include "gateway/ws/conn.h"
#include "gateway/ws/gate.h"
#include "gateway/ws/http_status.h"

extern const char *const conn_state_names[];    /* NULL-terminated, in the order of enum conn_state */
extern const char *const ws_frame_kind_names[]; /* of enum ws_frame_kind */

enum ws_frame_kind { WS_FRAME_TEXT, WS_FRAME_BINARY, WS_FRAME_PING, WS_FRAME_PONG, WS_FRAME_CLOSE };

#define WS_METRIC_LIST(X)                                                                                              \
    X(WS_ACCEPTED, METRIC_COUNTER, "herald_gateway_connections_accepted_total", "TCP connections accepted.", NULL,     \
      NULL)                                                                                                            \
    X(WS_UPGRADED, METRIC_COUNTER, "herald_gateway_connections_upgraded_total", "Connections that became WebSockets.", \
      NULL, NULL)                                                                                                      \
    X(WS_CONNECTIONS, METRIC_GAUGE, "herald_gateway_connections", "Connections now, by state.", "state",               \
      conn_state_names)                                                                                                \
    X(WS_CLOSED, METRIC_COUNTER, "herald_gateway_connections_closed_total", "Connections ended, by reason.", "reason", \
      close_reason_names)                                                                                              \
    X(WS_HTTP_REFUSED, METRIC_COUNTER, "herald_gateway_http_refused_total",                                            \
      "HTTP requests that did not become WebSockets, by the status of the answer.", "status", http_status_names)       \
    X(WS_REFUSED, METRIC_COUNTER, "herald_gateway_connections_refused_total",                                          \
      "New connections that were not let in (503), by reason.", "reason", gate_refusal_names)                          \
    X(WS_PROMISED, METRIC_GAUGE, "herald_gateway_connections_promised",                                                \
      "New connections that were told to come later (Retry-After), and whose time has not come", NULL, NULL)           \
    X(WS_ACCEPT_PAUSES, METRIC_COUNTER, "herald_gateway_accept_pauses_total",                                          \
      "Times that accepting was paused because descriptors or memory for sockets ran out.", NULL, NULL)                \
    X(WS_FRAMES_IN, METRIC_COUNTER, "herald_gateway_ws_received_total",                                                \
      "Whole messages and control frames received, by kind.", "kind", ws_frame_kind_names)                             \
    X(WS_BYTES_IN, METRIC_COUNTER, "herald_gateway_ws_received_bytes_total", "Bytes read from clients.", NULL, NULL)   \
    X(WS_FRAMES_OUT, METRIC_COUNTER, "herald_gateway_ws_sent_total", "Frames handed to the kernel.", NULL, NULL)       \
    X(WS_BYTES_OUT, METRIC_COUNTER, "herald_gateway_ws_sent_bytes_total", "Bytes written to clients.", NULL, NULL)     \
    X(WS_WRITES, METRIC_COUNTER, "herald_gateway_ws_writes_total", "System calls that wrote to clients.", NULL, NULL)  \
    X(WS_WRITE_BLOCKED, METRIC_COUNTER, "herald_gateway_ws_writes_blocked_total",                                      \
      "Times that a client's socket took no more.", NULL, NULL)                                                        \
    X(WS_DROPPED, METRIC_COUNTER, "herald_gateway_ws_dropped_total",                                                   \
      "Frames dropped because the connection's queue was full.", NULL, NULL)                                           \
    X(WS_PINGS_OUT, METRIC_COUNTER, "herald_gateway_ws_pings_total", "Pings sent on write-idle connections.", NULL,    \
      NULL)                                                                                                            \
    X(WS_DEFLATE_AGREED, METRIC_COUNTER, "herald_gateway_ws_deflate_agreed_total",                                     \
      "Connections that agreed on permessage-deflate.", NULL, NULL)                                                    \
    X(WS_DEFLATED, METRIC_COUNTER, "herald_gateway_ws_deflated_total",                                                 \
      "Frames that were deflated; one that goes to many counts once, and once for each that has context takeover.",    \
      NULL, NULL)                                                                                                      \
    X(WS_DEFLATE_SAVED, METRIC_COUNTER, "herald_gateway_ws_deflate_saved_bytes_total",                                 \
      "Bytes that these frames became shorter.", NULL, NULL)                                                           \
    X(WS_INFLATED, METRIC_COUNTER, "herald_gateway_ws_inflated_total", "Deflated messages received.", NULL, NULL)      \
    X(WS_TAKEOVER_CONNECTIONS, METRIC_GAUGE, "herald_gateway_ws_takeover_connections",                                 \
      "Connections now that agreed on permessage-deflate with context takeover.", NULL, NULL)                          \
    X(WS_TAKEOVER_BYTES, METRIC_GAUGE, "herald_gateway_ws_takeover_bytes",                                             \
      "Memory of their windows now, of ws.takeover_memory.", NULL, NULL)                                               \
    X(WS_TAKEOVER_DENIED, METRIC_COUNTER, "herald_gateway_ws_takeover_denied_total",                                   \
      "Connections that got no context takeover because ws.takeover_memory was spent.", NULL, NULL)                    \
    X(WS_QUEUED_BYTES, METRIC_GAUGE, "herald_gateway_ws_queued_bytes",                                                 \
      "Waiting for slow clients now, each frame counting 64 bytes more than its length.", NULL, NULL)                  \
    X(WS_CONN_BYTES, METRIC_GAUGE, "herald_gateway_connection_memory_bytes",                                           \
      "Memory held for the records of connections.", NULL, NULL)

#endif
