/* Sockets: the few calls that listeners and connections share. All descriptors are non-blocking and close-on-exec. */
#ifndef HERALD_COMMON_NET_H
#define HERALD_COMMON_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "err.h"

enum { NET_HOST_MAX = 255 };

/* "host:port", "[::1]:port", ":port" apart. ERR_INVALID: it is not that. */
enum err net_split(const char *address, char host_r[NET_HOST_MAX + 1], uint16_t *port_r) MUST_CHECK;

/* Where others reach a listener: of `listen` ("host:port", "scheme://host:port") with the port that it got. A host that
 * stands for all addresses is replaced by `name`; NULL: this machine's. */
void net_advertise(const char *listen, const char *name, uint16_t port, char *text_r, size_t size);

/* A TCP listener on host:port (host "" or "*": all, IPv6 and IPv4). port 0: any; see net_local_port().
 * reuse_port: SO_REUSEPORT, for workers that share a port. ERR_SYSTEM with errno set. */
enum err net_listen(const char *host, uint16_t port, int backlog, bool reuse_port, int *fd_r) MUST_CHECK;
/* Accepts one connection; TCP_NODELAY comes from the listener, as all of its TCP options do. ERR_AWAY: none is waiting;
 * ERR_FULL: no descriptors (EMFILE, ENFILE); ERR_SYSTEM else. peer_r: an IPv4 address as a mapped one. */
enum err net_accept(int listener, int *fd_r, struct in6_addr *peer_r) MUST_CHECK;

/* What the kernel is to do with connections of a listener; 0: as the system is set. */
struct net_tuning {
    int user_timeout_ms; /* TCP_USER_TIMEOUT: bytes not acknowledged for so long end a connection */
    int notsent_lowat;   /* TCP_NOTSENT_LOWAT: bytes that it takes beyond what is on its way */
};
/* Of a listener: whoever is accepted from now on has it too. ERR_SYSTEM with errno set. */
enum err net_tune(int listener, const struct net_tuning *tuning) MUST_CHECK;
uint16_t net_local_port(int fd);

#endif
