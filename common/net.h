/* Sockets: the few calls that listeners and connections share. All descriptors are non-blocking and close-on-exec. */
#ifndef HERALD_COMMON_NET_H
#define HERALD_COMMON_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "err.h"

enum {
    NET_ADDR_TEXT = 64, /* room for any numeric address with its port */
    NET_HOST_MAX = 255
};

/* "host:port", "[::1]:port", ":port" apart. ERR_INVALID: it is not that. */
enum err net_split(const char *address, char host_r[NET_HOST_MAX + 1], uint16_t *port_r) MUST_CHECK;

/* Where others reach a listener: of `listen` ("host:port", "scheme://host:port") with the port that it got. A host that
 * stands for all addresses is replaced by `name`; NULL: this machine's. */
void net_advertise(const char *listen, const char *name, uint16_t port, char *text_r, size_t size);

/* A TCP listener on host:port (host "" or "*": all, IPv6 and IPv4). port 0: any; see net_local_port().
 * reuse_port: SO_REUSEPORT, for workers that share a port. ERR_SYSTEM with errno set. */
enum err net_listen(const char *host, uint16_t port, int backlog, bool reuse_port, int *fd_r) MUST_CHECK;
/* Accepts one connection, TCP_NODELAY set. ERR_AWAY: none is waiting; ERR_FULL: no descriptors (EMFILE, ENFILE);
 * ERR_SYSTEM else. peer_r is numeric, without the port, NUL-terminated. */
enum err net_accept(int listener, int *fd_r, char peer_r[NET_ADDR_TEXT]) MUST_CHECK;
uint16_t net_local_port(int fd);

#endif
