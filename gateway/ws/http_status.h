/* The HTTP statuses of refused requests, as a table: status lines and the metric's labels come from it. */
#ifndef HERALD_GATEWAY_WS_HTTP_STATUS_H
#define HERALD_GATEWAY_WS_HTTP_STATUS_H

/* X(code, reason phrase) */
#define HTTP_STATUS_LIST(X)                                                                                            \
    X(400, "Bad Request")                                                                                              \
    X(403, "Forbidden")                                                                                                \
    X(404, "Not Found")                                                                                                \
    X(405, "Method Not Allowed")                                                                                       \
    X(413, "Content Too Large")                                                                                        \
    X(414, "URI Too Long")                                                                                             \
    X(426, "Upgrade Required")                                                                                         \
    X(431, "Request Header Fields Too Large")                                                                          \
    X(503, "Service Unavailable")

extern const char *const http_status_names[]; /* "400", ...; NULL-terminated */
const char *http_status_phrase(int status);
/* Its place in http_status_names. */
unsigned http_status_index(int status);

#endif
