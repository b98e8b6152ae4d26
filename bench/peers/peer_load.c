/*
 * Commands on standard input, each answered by a line: the caller looks at the system's memory and CPU between them.
 * Meanwhile connections are read and pings answered.
 *
 *     open N              until there are N connections          {"open": N}
 *     warm one|all        until a message comes through          {"warm": true}
 *     run one|all RATE SECONDS                                   the report, see peer_run.c
 *     close               all connections                        {"open": 0}
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/peers/peer.h"
#include "common/check.h"
#include "common/jwt_sign.h"
#include "common/log.h"

static const struct option long_options[] = {{"address", required_argument, NULL, 'a'},
                                             {"path", required_argument, NULL, 'p'},
                                             {"first", required_argument, NULL, 'f'},
                                             {"ready", required_argument, NULL, 'r'},
                                             {"raw", no_argument, NULL, 'R'},
                                             {"pong", no_argument, NULL, 'P'},
                                             {"brokers", required_argument, NULL, 'b'},
                                             {"topic", required_argument, NULL, 't'},
                                             {"one-key", required_argument, NULL, 'k'},
                                             {"one-value", required_argument, NULL, 'v'},
                                             {"one-path", required_argument, NULL, 'u'},
                                             {"all-key", required_argument, NULL, 'K'},
                                             {"all-value", required_argument, NULL, 'V'},
                                             {"all-path", required_argument, NULL, 'U'},
                                             {"connections", required_argument, NULL, 'n'},
                                             {NULL, 0, NULL, 0}};

static void add_first(struct peer_plan *plan, const char *text)
{
    int i = 0;
    while (i < FIRST_MAX - 1 && plan->first[i])
        i++;
    plan->first[i] = text;
}

static const char **place_of(struct peer_plan *plan, int option)
{
    switch (option) {
    case 'a':
        return &plan->address;
    case 'p':
        return &plan->path;
    case 'r':
        return &plan->ready;
    case 'b':
        return &plan->brokers;
    case 't':
        return &plan->topic;
    case 'k':
        return &plan->one.key;
    case 'v':
        return &plan->one.value;
    case 'u':
        return &plan->one.path;
    case 'K':
        return &plan->all.key;
    case 'V':
        return &plan->all.value;
    case 'U':
        return &plan->all.path;
    default:
        fprintf(stderr, "herald-peer-load: see bench/peers/peer_load.c\n");
        exit(2);
    }
}

static void parse(struct peer_plan *plan, int argc, char **argv)
{
    int c;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (c == 'f')
            add_first(plan, optarg);
        else if (c == 'R')
            plan->is_raw = true;
        else if (c == 'P')
            plan->has_pong = true;
        else if (c == 'n')
            plan->connections = (uint32_t)strtoul(optarg, NULL, 10);
        else
            *place_of(plan, c) = optarg;
    }
    if (!plan->address || (!plan->path && !plan->is_raw)) {
        fprintf(stderr, "herald-peer-load: --address and --path are needed\n");
        exit(2);
    }
}

static bool obey(struct peer *peer, const char *line)
{
    char what[8] = "";
    unsigned long rate, seconds, count;
    bool is_done = true;
    if (sscanf(line, "open %lu", &count) == 1) {
        is_done = peer_open(peer, (uint32_t)count);
        printf("{\"open\": %u}\n", peer->up);
    } else if (sscanf(line, "warm %7s", what) == 1) {
        is_done = peer_warm(peer, strcmp(what, "all") == 0);
        printf("{\"warm\": %s}\n", is_done ? "true" : "false");
    } else if (sscanf(line, "run %7s %lu %lu", what, &rate, &seconds) == 3) {
        peer_run(peer, strcmp(what, "all") == 0, rate, seconds);
    } else if (strncmp(line, "close", 5) == 0) {
        peer_close_all(peer);
        printf("{\"open\": 0}\n");
    } else {
        fprintf(stderr, "herald-peer-load: what is %s", line);
        is_done = false;
    }
    fflush(stdout);
    return is_done;
}

int main(int argc, char **argv)
{
    struct peer peer = {.plan = {.connections = 10000, .prefix = "b", .secret = JWT_DEV_SECRET}};
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[128];
    parse(&peer.plan, argc, argv);
    log_setup(LOG_WARN, LOG_FORMAT_TEXT, "peer-load", NULL);
    peer.conns = xcalloc(peer.plan.connections, sizeof(*peer.conns));
    peer.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!peer.plan.is_raw)
        peer.publisher = publisher_new(&peer);
    setvbuf(stdin, NULL, _IONBF, 0);
    for (;;) {
        if (poll(&input, 1, 0) == 0) {
            peer_poll(&peer, 20000);
            continue;
        }
        if (!fgets(line, sizeof(line), stdin) || !obey(&peer, line))
            break;
    }
    publisher_free(&peer.publisher);
    return 0;
}
