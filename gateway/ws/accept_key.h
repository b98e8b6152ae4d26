/* The answer to Sec-WebSocket-Key (RFC 6455 section 4.2.2): base64(SHA-1(key + a fixed GUID)). Pure. */
#ifndef HERALD_GATEWAY_WS_ACCEPT_KEY_H
#define HERALD_GATEWAY_WS_ACCEPT_KEY_H

#include <stdbool.h>

enum { ACCEPT_KEY_LEN = 28 };

/* 16 bytes in base64: 22 characters of its alphabet and "==". */
bool accept_key_is_valid(const char *key);
/* key must be valid. */
void accept_key(const char *key, char accept_r[ACCEPT_KEY_LEN + 1]);

#endif
