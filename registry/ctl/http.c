#include "registry/ctl/http.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

enum { READ_STEP = 65536 };

/* Waits until the descriptor can be read or written. */
static enum err wait_for(int fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now_ms = clock_mono_ms();
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int ready = now_ms < deadline_ms ? poll(&poll_fd, 1, (int)(deadline_ms - now_ms)) : 0;
        if (ready > 0)
            return ERR_OK;
        if (ready == 0)
            return ERR_TIMEOUT;
        if (errno != EINTR)
            return ERR_SYSTEM;
    }
}

static enum err connect_one(const struct addrinfo *address, uint64_t deadline_ms, int *fd_r)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    socklen_t error_len = sizeof(error);
    if (fd < 0)
        return ERR_SYSTEM;
    enum err err = ERR_OK;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
        err = errno == EINPROGRESS ? wait_for(fd, POLLOUT, deadline_ms) : ERR_AWAY;
    if (!err && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) != 0 || error != 0))
        err = ERR_AWAY;
    if (err)
        close(fd);
    else
        *fd_r = fd;
    return err;
}

static enum err connect_to(const struct url *url, uint64_t deadline_ms, int *fd_r)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
    if (getaddrinfo(url->host, url->port, &hints, &list) != 0)
        return ERR_AWAY;
    enum err err = ERR_AWAY;
    for (const struct addrinfo *at = list; at && err; at = at->ai_next)
        err = connect_one(at, deadline_ms, fd_r);
    freeaddrinfo(list);
    return err;
}

static enum err send_all(int fd, const struct buf *bytes, uint64_t deadline_ms)
{
    for (size_t sent = 0; sent < bytes->len;) {
        ssize_t n = send(fd, bytes->bytes + sent, bytes->len - sent, MSG_NOSIGNAL);
        if (n > 0) {
            sent += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            enum err err = wait_for(fd, POLLOUT, deadline_ms);
            if (err)
                return err;
        } else if (n == 0 || errno != EINTR) {
            return ERR_CLOSED;
        }
    }
    return ERR_OK;
}

/* Reads until the other side ends: the request asked for that. */
static enum err receive_all(int fd, struct buf *bytes, uint64_t deadline_ms)
{
    for (;;) {
        ssize_t n = recv(fd, buf_reserve(bytes, READ_STEP), READ_STEP, 0);
        if (n == 0)
            return ERR_OK;
        if (n > 0) {
            bytes->len += (size_t)n;
            bytes->bytes[bytes->len] = '\0';
            if (bytes->len > HTTP_ANSWER_MAX)
                return ERR_TOO_LARGE;
        } else if (errno == EAGAIN) {
            enum err err = wait_for(fd, POLLIN, deadline_ms);
            if (err)
                return err;
        } else if (errno != EINTR) {
            return ERR_CLOSED;
        }
    }
}

/* The value of Content-Length; false when there is none. */
static bool content_length(const char *head, size_t head_len, size_t *length_r)
{
    static const char name[] = "\r\ncontent-length:";
    for (size_t i = 0; i + sizeof(name) - 1 < head_len; i++) {
        if (strncasecmp(head + i, name, sizeof(name) - 1) == 0) {
            *length_r = strtoull(head + i + sizeof(name) - 1, NULL, 10);
            return true;
        }
    }
    return false;
}

enum err http_parse(const char *bytes, size_t len, int *code_r, struct buf *body)
{
    const char *end = memmem(bytes, len, "\r\n\r\n", 4);
    if (!end)
        return len == 0 || strncmp(bytes, "HTTP/1.", len < 7 ? len : 7) == 0 ? ERR_CLOSED : ERR_INVALID;
    if (strncmp(bytes, "HTTP/1.", 7) != 0 || bytes[8] != ' ')
        return ERR_INVALID;
    long long code = strtoll(bytes + 9, NULL, 10);
    if (code < 100 || code > 599)
        return ERR_INVALID;
    size_t head_len = (size_t)(end - bytes), body_len = len - head_len - 4, length;
    if (content_length(bytes, head_len, &length)) {
        if (body_len < length)
            return ERR_CLOSED;
        body_len = length;
    }
    *code_r = (int)code;
    buf_add(body, end + 4, body_len);
    return ERR_OK;
}

static enum err exchange(int fd, const struct url *url, const char *method, const char *path, uint64_t deadline_ms,
                         int *code_r, struct buf *body)
{
    struct buf request, answer;
    buf_init(&request);
    buf_init(&answer);
    bool is_v6 = strchr(url->host, ':') != NULL;
    /* HTTP/1.0: the answer is whole, and ends with the connection */
    buf_printf(&request,
               "%s %s%s HTTP/1.0\r\nHost: %s%s%s:%s\r\nAccept: application/json\r\nConnection: close\r\n%s\r\n", method,
               url->prefix, path, is_v6 ? "[" : "", url->host, is_v6 ? "]" : "", url->port,
               strcmp(method, "POST") == 0 ? "Content-Type: application/json\r\nContent-Length: 2\r\n" : "");
    if (strcmp(method, "POST") == 0)
        buf_add_str(&request, "{}");
    enum err err = send_all(fd, &request, deadline_ms);
    if (!err)
        err = receive_all(fd, &answer, deadline_ms);
    if (!err)
        err = http_parse(answer.bytes ? answer.bytes : "", answer.len, code_r, body);
    buf_release(&answer);
    buf_release(&request);
    return err;
}

enum err http_ask(const struct url *url, const char *method, const char *path, uint64_t timeout_ms, int *code_r,
                  struct buf *body)
{
    uint64_t deadline_ms = clock_mono_ms() + timeout_ms;
    int fd = -1;
    enum err err = connect_to(url, deadline_ms, &fd);
    if (err)
        return err;
    err = exchange(fd, url, method, path, deadline_ms, code_r, body);
    close(fd);
    return err;
}
