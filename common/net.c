#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

enum err net_split(const char *address, char host_r[NET_HOST_MAX + 1], uint16_t *port_r)
{
    const char *colon = strrchr(address, ':'), *host = address;
    if (!colon || colon[1] < '0' || colon[1] > '9')
        return ERR_INVALID;
    size_t len = (size_t)(colon - address);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (len > NET_HOST_MAX || *end || port > UINT16_MAX)
        return ERR_INVALID;
    memcpy(host_r, host, len);
    host_r[len] = '\0';
    *port_r = (uint16_t)port;
    return ERR_OK;
}

void net_advertise(const char *listen, const char *name, uint16_t port, char *text_r, size_t size)
{
    static const char *const everywhere[] = {"", "*", "0.0.0.0", "[::]"};
    const char *scheme = strstr(listen, "://"), *host = scheme ? scheme + 3 : listen, *colon = strrchr(host, ':');
    char own_name[NET_HOST_MAX + 1] = "";
    int scheme_len = (int)(host - listen);
    size_t len = colon ? (size_t)(colon - host) : strlen(host);
    for (size_t i = 0; i < sizeof(everywhere) / sizeof(everywhere[0]); i++) {
        if (strlen(everywhere[i]) != len || memcmp(everywhere[i], host, len) != 0)
            continue;
        if (!name && gethostname(own_name, sizeof(own_name) - 1) == 0)
            name = own_name;
        snprintf(text_r, size, "%.*s%s:%u", scheme_len, listen, name ? name : "localhost", port);
        return;
    }
    snprintf(text_r, size, "%.*s%.*s:%u", scheme_len, listen, (int)len, host, port);
}

static int set_on(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

static int close_failed(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* A listening descriptor, or -1 with errno. */
static int listen_at(const struct sockaddr *addr, socklen_t addr_len, int backlog, bool reuse_port)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (set_on(fd, SOL_SOCKET, SO_REUSEADDR, 1) || (reuse_port && set_on(fd, SOL_SOCKET, SO_REUSEPORT, 1)))
        return close_failed(fd);
    /* inherited by what is accepted: one system call less for each */
    if (set_on(fd, IPPROTO_TCP, TCP_NODELAY, 1))
        return close_failed(fd);
    if (addr->sa_family == AF_INET6 && set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0))
        return close_failed(fd);
    if (bind(fd, addr, addr_len) || listen(fd, backlog))
        return close_failed(fd);
    return fd;
}

static int listen_everywhere(uint16_t port, int backlog, bool reuse_port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
    int fd = listen_at((struct sockaddr *)&six, sizeof(six), backlog, reuse_port);
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
        return fd;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    return listen_at((struct sockaddr *)&four, sizeof(four), backlog, reuse_port);
}

enum err net_listen(const char *host, uint16_t port, int backlog, bool reuse_port, int *fd_r)
{
    int fd = -1;
    if (host[0] == '\0' || strcmp(host, "*") == 0) {
        fd = listen_everywhere(port, backlog, reuse_port);
    } else {
        struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
        struct addrinfo *found = NULL;
        char service[8];
        snprintf(service, sizeof(service), "%u", port);
        if (getaddrinfo(host, service, &hints, &found) != 0) {
            errno = EADDRNOTAVAIL;
            return ERR_SYSTEM;
        }
        for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
            fd = listen_at(at->ai_addr, at->ai_addrlen, backlog, reuse_port);
        int saved = errno;
        freeaddrinfo(found);
        errno = saved;
    }
    if (fd < 0)
        return ERR_SYSTEM;
    *fd_r = fd;
    return ERR_OK;
}

/* One form for one peer: lists and limits compare it. */
static struct in6_addr peer_address(const struct sockaddr_storage *peer)
{
    struct in6_addr address = IN6ADDR_ANY_INIT;
    if (peer->ss_family == AF_INET6) {
        address = ((const struct sockaddr_in6 *)peer)->sin6_addr;
    } else if (peer->ss_family == AF_INET) {
        address.s6_addr[10] = address.s6_addr[11] = 0xFF;
        memcpy(&address.s6_addr[12], &((const struct sockaddr_in *)peer)->sin_addr, 4);
    }
    return address;
}

enum err net_accept(int listener, int *fd_r, struct in6_addr *peer_r)
{
    struct sockaddr_storage peer;
    int fd;
    do { /* a peer that gave up while it waited is not the next one's trouble */
        socklen_t len = sizeof(peer);
        peer.ss_family = AF_UNSPEC;
        fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EPROTO));
    if (fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return ERR_AWAY;
        return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? ERR_FULL : ERR_SYSTEM;
    }
    *peer_r = peer_address(&peer);
    *fd_r = fd;
    return ERR_OK;
}

enum err net_tune(int listener, const struct net_tuning *tuning)
{
    bool is_set = (!tuning->user_timeout_ms ||
                   set_on(listener, IPPROTO_TCP, TCP_USER_TIMEOUT, tuning->user_timeout_ms) == 0) &&
                  (!tuning->notsent_lowat ||
                   set_on(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, tuning->notsent_lowat) == 0);
    return is_set ? ERR_OK : ERR_SYSTEM;
}

uint16_t net_local_port(int fd)
{
    struct sockaddr_storage local = {0};
    socklen_t len = sizeof(local);
    if (getsockname(fd, (struct sockaddr *)&local, &len) < 0)
        return 0;
    if (local.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&local)->sin6_port);
    return local.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&local)->sin_port) : 0;
}
