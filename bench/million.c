/*
 * Very many clients on one machine: crowds of them (bench/crowd.c), one process each, since a process may have only so
 * many descriptors; and a producer that sends one message to each user.
 *
 *     herald-million --ports P[,P..] --connections N [--each N] [--window N] [--brokers B] [--secret S] [--prefix S]
 *
 * Takes commands from standard input, and answers each with one JSON object:
 *     open PERCENT   so many of each crowd are connected then
 *     sweep RATE CLASS   one message to each user that was to connect, RATE a second at most; until all came, or
 *                        nothing more comes
 *     leave PERCENT  so many of the connections are closed, by chance
 *     stats          as it is
 * and ends with the end of input.
 */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/crowd.h"
#include "bench/sweep.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/jwt_sign.h"

enum {
    EACH_DEFAULT = 19000,
    WINDOW_DEFAULT = 2048,
    WATCH_MS = 50,
    SWEEP_WINDOW = 2500,
    QUIET_MS = 30000 /* nothing more comes after so long */
};

struct million {
    const char *ports, *brokers, *prefix, *secret;
    uint32_t connections, each, window;
    uint32_t crowd_count;
    struct crowd_tally *tallies;
    int *orders;
    uint32_t given;   /* orders, to each */
    uint32_t percent; /* of each crowd that were to connect */
    uint32_t sweeps;
};

static const struct option long_options[] = {
    {"ports", required_argument, NULL, 'p'},  {"connections", required_argument, NULL, 'n'},
    {"each", required_argument, NULL, 'e'},   {"window", required_argument, NULL, 'w'},
    {"secret", required_argument, NULL, 's'}, {"brokers", required_argument, NULL, 'b'},
    {"prefix", required_argument, NULL, 'x'}, {NULL, 0, NULL, 0}};

static uint32_t number(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || end == text || value > UINT32_MAX) {
        fprintf(stderr, "herald-million: %s is not a number\n", text);
        exit(2);
    }
    return (uint32_t)value;
}

static void parse(struct million *m, int argc, char **argv)
{
    int c;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (c == 'p')
            m->ports = optarg;
        else if (c == 'b')
            m->brokers = optarg;
        else if (c == 's')
            m->secret = optarg;
        else if (c == 'x')
            m->prefix = optarg;
        else if (c == 'n')
            m->connections = number(optarg);
        else if (c == 'e')
            m->each = number(optarg);
        else if (c == 'w')
            m->window = number(optarg);
        else
            exit(2);
    }
    if (!m->ports || m->connections == 0 || m->each == 0) {
        fprintf(stderr, "herald-million: --ports and --connections are needed\n");
        exit(2);
    }
}

/* --- crowds --- */

static void add_ports(struct crowd_plan *plan, const char *text)
{
    char *end = (char *)text;
    while (plan->port_count < CROWD_GATEWAYS_MAX && *end) {
        plan->ports[plan->port_count++] = (uint16_t)strtoul(end, &end, 10);
        end += *end == ',';
    }
}

static uint32_t first_user(const struct million *m, uint32_t crowd)
{
    return (uint32_t)((uint64_t)m->connections * crowd / m->crowd_count);
}

static uint32_t asked_of(const struct million *m, uint32_t crowd)
{
    return crowd_share(first_user(m, crowd + 1) - first_user(m, crowd), m->percent);
}

/* Of those that were to connect, in the order of their crowds. */
static uint32_t user_at(void *arg, uint32_t i)
{
    const struct million *m = arg;
    uint32_t crowd = 0;
    for (; i >= asked_of(m, crowd); crowd++)
        i -= asked_of(m, crowd);
    return first_user(m, crowd) + i;
}

static uint32_t asked(const struct million *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->crowd_count; i++)
        count += asked_of(m, i);
    return count;
}

static void start_crowd(struct million *m, uint32_t i)
{
    int ends[2];
    uint32_t window = m->window / m->crowd_count;
    struct crowd_plan plan = {.prefix = m->prefix, .secret = m->secret, .addresses = i};
    plan.first = first_user(m, i);
    plan.count = first_user(m, i + 1) - plan.first;
    plan.window = window > 0 ? window : 1;
    add_ports(&plan, m->ports);
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(STDIN_FILENO); /* the parent's commands */
        close(ends[1]);
        for (uint32_t other = 0; other < i; other++)
            close(m->orders[other]);
        crowd_run(&plan, ends[0], &m->tallies[i]);
    }
    close(ends[0]);
    m->orders[i] = ends[1];
}

static void start_crowds(struct million *m)
{
    m->crowd_count = (m->connections + m->each - 1) / m->each;
    m->orders = xcalloc(m->crowd_count, sizeof(*m->orders));
    m->tallies = mmap(NULL, m->crowd_count * sizeof(*m->tallies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                      -1, 0);
    CHECK(m->tallies != MAP_FAILED);
    for (uint32_t i = 0; i < m->crowd_count; i++)
        start_crowd(m, i);
}

/* A crowd that has died makes the run void. */
static void check_crowds(void)
{
    if (waitpid(-1, NULL, WNOHANG) > 0) {
        fprintf(stderr, "herald-million: a crowd has ended\n");
        exit(1);
    }
}

static void order(struct million *m, enum crowd_op op, uint32_t value)
{
    struct crowd_order word = {op, value};
    m->given++;
    for (uint32_t i = 0; i < m->crowd_count; i++)
        CHECK(write(m->orders[i], &word, sizeof(word)) == sizeof(word));
    for (uint32_t i = 0; i < m->crowd_count; i++)
        while (m->tallies[i].obeyed != m->given) {
            check_crowds();
            poll(NULL, 0, 1);
        }
}

/* --- reckoning --- */

struct total {
    uint64_t up, refused, closed, failed, pings, received, wrong, once, never, twice, last_us;
    uint64_t latency[CROWD_LATENCIES];
};

static void add_up(const struct million *m, struct total *total)
{
    *total = (struct total){0};
    for (uint32_t i = 0; i < m->crowd_count; i++) {
        const struct crowd_tally *tally = &m->tallies[i];
        total->up += tally->up;
        total->refused += tally->refused;
        total->closed += tally->closed;
        total->failed += tally->failed;
        total->pings += tally->pings;
        total->received += tally->received;
        total->wrong += tally->wrong;
        total->once += tally->once;
        total->never += tally->never;
        total->twice += tally->twice;
        if (tally->last_us > total->last_us)
            total->last_us = tally->last_us;
        for (size_t k = 0; k < CROWD_LATENCIES; k++)
            total->latency[k] += tally->latency[k];
    }
}

static uint32_t up_count(const struct million *m)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < m->crowd_count; i++)
        up += m->tallies[i].up;
    return up;
}

static double latency_ms(const struct total *total, double quantile)
{
    uint64_t seen = 0;
    for (size_t k = 0; k < CROWD_LATENCIES; k++) {
        seen += total->latency[k];
        if (total->received > 0 && (double)seen >= quantile * (double)total->received)
            return (double)(1ULL << (k + 1) / 16) * (1 + (double)((k + 1) % 16) / 16) / 1e3;
    }
    return 0;
}

static void tell(const struct total *total, double seconds)
{
    printf("{\"up\": %lu, \"seconds\": %.3f, \"refused\": %lu, \"failed\": %lu, \"closed\": %lu, \"pings\": %lu, "
           "\"received\": %lu, \"wrong\": %lu, \"once\": %lu, \"never\": %lu, \"twice\": %lu, "
           "\"p50_ms\": %.2f, \"p99_ms\": %.2f, \"max_ms\": %.2f}\n",
           total->up, seconds, total->refused, total->failed, total->closed, total->pings, total->received,
           total->wrong, total->once, total->never, total->twice, latency_ms(total, 0.5), latency_ms(total, 0.99),
           latency_ms(total, 1));
    fflush(stdout);
}

/* Until the figure is reached, or stands still for too long. */
static void wait_for(struct million *m, struct total *total, const uint64_t *figure, uint64_t goal)
{
    uint64_t last = UINT64_MAX, moved_ms = clock_mono_ms();
    for (;;) {
        add_up(m, total);
        if (*figure != last)
            moved_ms = clock_mono_ms();
        last = *figure;
        if (*figure >= goal || clock_mono_ms() - moved_ms > QUIET_MS)
            return;
        check_crowds();
        poll(NULL, 0, WATCH_MS);
    }
}

/* --- commands --- */

static void do_open(struct million *m, uint32_t percent)
{
    struct total total = {0};
    uint64_t start_ms = clock_mono_ms();
    m->percent = percent;
    order(m, CROWD_OPEN, percent);
    wait_for(m, &total, &total.up, asked(m));
    tell(&total, (double)(clock_mono_ms() - start_ms) / 1e3);
}

static uint64_t count_received(void *arg)
{
    const struct million *m = arg;
    uint64_t received = 0;
    for (uint32_t i = 0; i < m->crowd_count; i++)
        received += m->tallies[i].received;
    return received;
}

static void do_sweep(struct million *m, uint32_t rate, const char *class)
{
    struct total total = {0};
    order(m, CROWD_SWEEP, ++m->sweeps);
    struct sweep sweep = {.brokers = m->brokers, .prefix = m->prefix, .class = class};
    sweep.users = asked(m);
    sweep.user = user_at;
    sweep.rate = rate;
    sweep.number = m->sweeps;
    sweep.window = SWEEP_WINDOW + sweep.users - up_count(m); /* those who have left receive nothing */
    sweep.received = count_received;
    sweep.arg = m;
    uint64_t start_us = sweep_run(&sweep, QUIET_MS);
    add_up(m, &total);
    wait_for(m, &total, &total.received, total.up);
    poll(NULL, 0, 1000); /* time for what comes twice */
    order(m, CROWD_COUNT, 0);
    add_up(m, &total);
    tell(&total, total.last_us > start_us ? (double)(total.last_us - start_us) / 1e6 : 0);
}

static void do_leave(struct million *m, uint32_t percent)
{
    struct total total = {0};
    uint64_t start_ms = clock_mono_ms();
    order(m, CROWD_LEAVE, percent);
    add_up(m, &total);
    tell(&total, (double)(clock_mono_ms() - start_ms) / 1e3);
}

static bool obey(struct million *m, const char *line)
{
    char class[16];
    unsigned value;
    if (sscanf(line, "open %u", &value) == 1 && value <= 100) {
        do_open(m, value);
    } else if (sscanf(line, "sweep %u %15s", &value, class) == 2 && value > 0) {
        do_sweep(m, value, class);
    } else if (sscanf(line, "leave %u", &value) == 1) {
        do_leave(m, value);
    } else if (strcmp(line, "stats\n") == 0) {
        struct total total = {0};
        add_up(m, &total);
        tell(&total, 0);
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct million m = {.prefix = "m", .secret = JWT_DEV_SECRET, .each = EACH_DEFAULT, .window = WINDOW_DEFAULT};
    char line[64];
    parse(&m, argc, argv);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    start_crowds(&m);
    while (fgets(line, sizeof(line), stdin))
        if (!obey(&m, line)) {
            fprintf(stderr, "herald-million: not understood: %s", line);
            return 2;
        }
    return 0;
}
