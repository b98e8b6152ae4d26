/*
 * The raw floor: what a send() costs on this machine, now. Waits for N connections, then sends one pre-encoded
 * 128-byte frame with one send() to each, R times over, and prints its CPU time for each message. No protocol at all.
 *
 *     herald-floor PORT CONNECTIONS ROUNDS
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"

enum { FRAME_LEN = 128 };

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 4096) == 0);
    return fd;
}

/* A frame that does not fit now waits for room, as any server must. */
static void send_frame(int fd, const char *frame)
{
    size_t sent = 0;
    while (sent < FRAME_LEN) {
        ssize_t n = send(fd, frame + sent, FRAME_LEN - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000);
        else
            return;
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: herald-floor PORT CONNECTIONS ROUNDS\n");
        return 2;
    }
    long count = strtol(argv[2], NULL, 10), rounds = strtol(argv[3], NULL, 10);
    int listener = listen_on((uint16_t)strtol(argv[1], NULL, 10));
    int *fds = xcalloc((size_t)count, sizeof(int)), epoll = epoll_create1(EPOLL_CLOEXEC);
    char frame[FRAME_LEN] = {(char)0x81, FRAME_LEN - 2};
    memset(frame + 2, 'x', FRAME_LEN - 2);
    printf("listening\n");
    fflush(stdout);

    for (long i = 0; i < count; i++) {
        fds[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        CHECK(fds[i] >= 0);
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &(struct epoll_event){.events = EPOLLIN}) == 0);
    }
    double before = cpu_us();
    for (long round = 0; round < rounds; round++) {
        for (long i = 0; i < count; i++)
            send_frame(fds[i], frame);
        struct epoll_event event;
        (void)epoll_wait(epoll, &event, 1, 0); /* a server looks for input between rounds */
    }
    printf("{\"messages\": %ld, \"cpu_us_per_message\": %.3f}\n", rounds * count,
           (cpu_us() - before) / (double)(rounds * count));
    return 0;
}
