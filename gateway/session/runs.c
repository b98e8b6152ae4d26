#include "gateway/session/runs.h"

static int find(const struct runs *runs, uint64_t run)
{
    int i = 0;
    while (i < RUNS_KEPT && runs->run[i] != run)
        i++;
    return i;
}

bool runs_may_take(const struct runs *runs, uint64_t run, uint32_t index)
{
    int i = find(runs, run);
    return run == 0 || index == 0 || (i < RUNS_KEPT && runs->next[i] == index);
}

void runs_took(struct runs *runs, uint64_t run, uint32_t index)
{
    int i = find(runs, run);
    if (run == 0)
        return;
    for (i = i < RUNS_KEPT ? i : RUNS_KEPT - 1; i > 0; i--) {
        runs->run[i] = runs->run[i - 1];
        runs->next[i] = runs->next[i - 1];
    }
    runs->run[0] = run;
    runs->next[0] = index + 1;
}
