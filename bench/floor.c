/*
 * The raw floors: what the kernel takes on this machine, now, for what any server has to do. No protocol at all.
 *
 *     herald-floor send PORT CONNECTIONS ROUNDS       one 128-byte frame with one send() to each, ROUNDS times over
 *     herald-floor paced PORT CONNECTIONS ROUNDS RATE [BURST]    RATE a second of these: BURST, then asleep until the
 *                                                     next is due (without: what is due in a millisecond)
 *     herald-floor writev PORT CONNECTIONS ROUNDS BATCH    BATCH of them with one writev()
 *     herald-floor accept PORT CONNECTIONS            accept, epoll_ctl, recv of a request, send of an answer
 *
 * Prints "listening", then a line of JSON with its CPU time for each message, or connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"

enum { FRAME_LEN = 128, BATCH_MAX = 64, REQUEST_MAX = 4096 };

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
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* those accepted inherit it */
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4096) == 0);
    printf("listening\n");
    fflush(stdout);
    return fd;
}

static int accept_one(int listener, int epoll)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -1;
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd}) == 0);
    return fd;
}

/* What does not fit now waits for room, as any server must. */
static void write_frames(int fd, char *bytes, size_t len, int batch)
{
    size_t sent = 0;
    while (sent < len) {
        struct iovec frames[BATCH_MAX];
        ssize_t n;
        if (batch == 1 || sent > 0) {
            n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            for (int i = 0; i < batch; i++)
                frames[i] = (struct iovec){bytes + (size_t)i * FRAME_LEN, FRAME_LEN};
            n = writev(fd, frames, batch);
        }
        if (n > 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000);
        else
            return;
    }
}

struct pace {
    long rate, burst; /* rate 0: as fast as it goes */
};

/* Sleeps after each burst, until the next is due. */
static void keep_pace(const struct pace *pace, long sent)
{
    if (pace->rate == 0 || sent % pace->burst != 0)
        return;
    long us = pace->burst * 1000000 / pace->rate;
    struct timespec rest = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
}

static void send_rounds(uint16_t port, long count, long rounds, int batch, struct pace pace)
{
    static char frames[BATCH_MAX * FRAME_LEN];
    memset(frames, 'x', sizeof frames);
    for (int i = 0; i < BATCH_MAX; i++)
        memcpy(frames + i * FRAME_LEN, (char[2]){(char)0x81, FRAME_LEN - 2}, 2);
    int listener = listen_on(port), epoll = epoll_create1(EPOLL_CLOEXEC);
    int *fds = xcalloc((size_t)count, sizeof(int));
    for (long i = 0; i < count; i++)
        CHECK((fds[i] = accept_one(listener, epoll)) >= 0);
    double before = cpu_us();
    for (long round = 0; round < rounds; round++) {
        for (long i = 0; i < count; i++) {
            write_frames(fds[i], frames, (size_t)batch * FRAME_LEN, batch);
            keep_pace(&pace, i + 1);
        }
        struct epoll_event event;
        (void)epoll_wait(epoll, &event, 1, 0); /* a server looks for input between rounds */
    }
    long messages = rounds * count * batch;
    printf("{\"messages\": %ld, \"cpu_us\": %.4f}\n", messages, (cpu_us() - before) / (double)messages);
}

static void answer(int fd)
{
    static const char text[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                               "\x81\x23{\"type\":\"auth_response\",\"code\":200}";
    char request[REQUEST_MAX];
    if (recv(fd, request, sizeof request, 0) > 0)
        CHECK(send(fd, text, sizeof text - 1, MSG_NOSIGNAL) == sizeof text - 1);
}

static void accept_all(uint16_t port, long count)
{
    int listener = listen_on(port), epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener}) ==
          0);
    double before = cpu_us();
    for (long answered = 0; answered < count;) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd != listener) {
                answer(events[i].data.fd);
                answered++;
                continue;
            }
            while (accept_one(listener, epoll) >= 0)
                continue;
        }
    }
    printf("{\"connections\": %ld, \"cpu_us\": %.4f}\n", count, (cpu_us() - before) / (double)count);
}

int main(int argc, char **argv)
{
    long numbers[5] = {0, 0, 1, 1, 0};
    for (int i = 2; i < argc && i < 7; i++)
        numbers[i - 2] = strtol(argv[i], NULL, 10);
    uint16_t port = (uint16_t)numbers[0];
    const char *mode = argc >= 4 && port > 0 && numbers[1] > 0 && numbers[2] > 0 ? argv[1] : "";
    struct pace pace = {numbers[3], numbers[4] > 0 ? numbers[4] : numbers[3] / 1000};
    if (strcmp(mode, "send") == 0)
        send_rounds(port, numbers[1], numbers[2], 1, (struct pace){0});
    else if (strcmp(mode, "paced") == 0 && pace.burst > 0)
        send_rounds(port, numbers[1], numbers[2], 1, pace);
    else if (strcmp(mode, "writev") == 0 && numbers[3] > 0 && numbers[3] <= BATCH_MAX)
        send_rounds(port, numbers[1], numbers[2], (int)numbers[3], (struct pace){0});
    else if (strcmp(mode, "accept") == 0)
        accept_all(port, numbers[1]);
    else {
        fprintf(stderr,
                "usage: herald-floor send|paced|writev|accept PORT CONNECTIONS [ROUNDS [RATE [BURST]|BATCH]]\n");
        return 2;
    }
    return 0;
}
