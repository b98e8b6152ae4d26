/*
 * The load client: N authenticated WebSocket connections in one process, a producer at a steady rate, and a check of
 * every message that arrives: numbers run without gap, repetition or reversal on each connection, or the run is void.
 * Rates are open-loop: a message carries the time at which it was due, so a late sender does not hide latency.
 *
 *     herald-load --gateway HOST:PORT[,..] --connections N [--brokers B --rate R --seconds S --class volatile|durable]
 *                 [--all] [--size BYTES] [--linger MS] [--hold] [--raw PORT]
 *
 * Prints "ready" when all are connected and waits for a line on standard input (so that the caller can look at memory
 * and CPU), then runs, prints one JSON object, and stays connected until another line or the end of input: leaving
 * costs the server too, and is no part of a delivery. --raw: bare TCP connections that only read (for herald-floor).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/load.h"

static const struct option long_options[] = {
    {"gateway", required_argument, NULL, 'g'}, {"connections", required_argument, NULL, 'n'},
    {"brokers", required_argument, NULL, 'b'}, {"rate", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 's'}, {"class", required_argument, NULL, 'c'},
    {"size", required_argument, NULL, 'z'},    {"linger", required_argument, NULL, 'l'},
    {"hold", no_argument, NULL, 'h'},          {"raw", required_argument, NULL, 'R'},
    {"prefix", required_argument, NULL, 'p'},  {"secret", required_argument, NULL, 'S'},
    {"all", no_argument, NULL, 'a'},           {NULL, 0, NULL, 0}};

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*end || end == text) {
        fprintf(stderr, "herald-load: %s is not a number\n", text);
        exit(2);
    }
    return value;
}

static void parse(struct load_plan *plan, int argc, char **argv)
{
    int c;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case 'g':
            plan->gateways = optarg;
            break;
        case 'n':
            plan->connections = (uint32_t)number(optarg);
            break;
        case 'b':
            plan->brokers = optarg;
            break;
        case 'r':
            plan->rate = number(optarg);
            break;
        case 's':
            plan->seconds = number(optarg);
            break;
        case 'c':
            plan->is_durable = strcmp(optarg, "durable") == 0;
            break;
        case 'z':
            plan->size = number(optarg);
            break;
        case 'l':
            plan->linger_ms = number(optarg);
            break;
        case 'h':
            plan->is_hold = true;
            break;
        case 'a':
            plan->is_all = true;
            break;
        case 'R':
            plan->raw_port = (uint16_t)number(optarg);
            break;
        case 'p':
            plan->prefix = optarg;
            break;
        case 'S':
            plan->secret = optarg;
            break;
        default:
            exit(2);
        }
    }
    if (!plan->gateways && !plan->raw_port) {
        fprintf(stderr, "herald-load: --gateway is needed\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct load_plan plan = {.connections = 100, .rate = 1000, .seconds = 5, .size = 128, .prefix = "b"};
    parse(&plan, argc, argv);
    struct load *load = load_new(&plan);
    if (!load_connect(load))
        return 1;
    printf("ready\n");
    fflush(stdout);
    char line[16];
    if (!fgets(line, sizeof(line), stdin))
        return 0;
    if (plan.is_hold)
        load_hold(load);
    else
        load_run(load);
    bool is_valid = load_report(load);
    if (!plan.is_hold && !plan.raw_port)
        load_hold(load);
    return is_valid ? 0 : 1;
}
