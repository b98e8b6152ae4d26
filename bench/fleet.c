#include "bench/fleet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/client.h"
#include "common/check.h"
#include "common/clock.h"

enum { CONNECT_MS = 120000, LOOK_US = 2000 };

struct fleet {
    const struct plan *plan;
    struct tally *tallies; /* one for each process, shared with it */
    pid_t *pids;
};

static void run_child(const struct plan *plan, uint32_t i, struct tally *tally, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    uint32_t each = plan->connections / plan->processes, more = plan->connections % plan->processes;
    client_run(plan, i * each + (i < more ? i : more), each + (i < more), tally);
}

struct fleet *fleet_start(const struct plan *plan)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct fleet *fleet = xcalloc(1, sizeof *fleet);
    fleet->plan = plan;
    fleet->pids = xcalloc(plan->processes, sizeof *fleet->pids);
    fleet->tallies = mmap(NULL, plan->processes * sizeof *fleet->tallies, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(fleet->tallies != MAP_FAILED);
    fflush(NULL);
    pid_t self = getpid();
    for (uint32_t i = 0; i < plan->processes; i++) {
        fleet->pids[i] = fork();
        CHECK(fleet->pids[i] >= 0);
        if (fleet->pids[i] == 0)
            run_child(plan, i, &fleet->tallies[i], self);
    }
    return fleet;
}

/* The numbers in front of the histograms lie side by side. */
static void add_counts(const struct tally *tally, struct tally *sum)
{
    enum { COUNTS = offsetof(struct tally, latency) / sizeof(uint64_t) };
    uint64_t last_us = tally_get(&tally->last_us) > sum->last_us ? tally_get(&tally->last_us) : sum->last_us;
    for (size_t i = 0; i < COUNTS; i++)
        ((uint64_t *)sum)[i] += tally_get((const uint64_t *)tally + i);
    sum->last_us = last_us;
}

void fleet_counts(const struct fleet *fleet, struct tally *sum_r)
{
    memset(sum_r, 0, offsetof(struct tally, latency));
    for (uint32_t i = 0; i < fleet->plan->processes; i++)
        add_counts(&fleet->tallies[i], sum_r);
}

void fleet_tally(const struct fleet *fleet, struct tally *sum_r)
{
    memset(sum_r, 0, sizeof *sum_r);
    for (uint32_t i = 0; i < fleet->plan->processes; i++) {
        add_counts(&fleet->tallies[i], sum_r);
        for (size_t s = 0; s < fleet->plan->stream_count; s++)
            hist_merge(&sum_r->latency[s], &fleet->tallies[i].latency[s]);
    }
}

void fleet_clear(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->plan->processes; i++) {
        struct tally *tally = &fleet->tallies[i];
        tally->received = tally->lost = tally->late = tally->repeated = tally->redelivered = tally->reads = 0;
        memset(tally->received_of, 0, sizeof tally->received_of);
        memset(tally->latency, 0, sizeof tally->latency);
    }
}

bool fleet_wait_up(struct fleet *fleet)
{
    const struct plan *plan = fleet->plan;
    uint64_t ramp_ms = plan->ramp > 0 ? (uint64_t)plan->connections * 1000 / plan->ramp : 0;
    uint64_t deadline = clock_mono_ms() + CONNECT_MS + ramp_ms;
    struct tally sum;
    for (;;) {
        fleet_counts(fleet, &sum);
        if (sum.up == plan->connections)
            return true;
        bool has_lost = plan->reconnect_ms == 0 && sum.closed > 0;
        if (has_lost || clock_mono_ms() > deadline || waitpid(-1, NULL, WNOHANG) > 0)
            break;
        usleep(LOOK_US);
    }
    fprintf(stderr, "herald-load: %lu of %u connected, %lu closed, %lu refused\n", (unsigned long)sum.up,
            plan->connections, (unsigned long)sum.closed, (unsigned long)sum.refused);
    return false;
}

void fleet_free(struct fleet **fleet)
{
    struct fleet *f = *fleet;
    *fleet = NULL;
    for (uint32_t i = 0; i < f->plan->processes; i++)
        kill(f->pids[i], SIGKILL);
    for (uint32_t i = 0; i < f->plan->processes; i++)
        waitpid(f->pids[i], NULL, 0);
    munmap(f->tallies, f->plan->processes * sizeof *f->tallies);
    free(f->pids);
    free(f);
}
