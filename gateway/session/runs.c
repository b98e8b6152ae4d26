#include "gateway/session/runs.h"

#include "common/check.h"

struct runs {
    uint64_t run[RUNS_KEPT]; /* the last used first; 0: none */
    uint32_t next[RUNS_KEPT];
    bool is_recent;
    struct runs **home; /* what points here */
};

struct slab *runs_memory_new(void)
{
    return slab_new("runs", sizeof(struct runs));
}

static bool move(void *arg, void *from, void *to)
{
    struct runs *runs = to;
    (void)arg;
    CHECK(*runs->home == from);
    *runs->home = runs;
    return true;
}

size_t runs_compact(struct slab *memory, size_t max)
{
    return slab_compact(memory, max, move, NULL);
}

void runs_moved(struct runs **runs)
{
    if (*runs)
        (*runs)->home = runs;
}

static int find(const struct runs *runs, uint64_t run)
{
    int i = 0;
    while (i < RUNS_KEPT && runs->run[i] != run)
        i++;
    return i;
}

bool runs_may_take(const struct runs *runs, uint64_t run, uint32_t index)
{
    if (run == 0 || index == 0)
        return true;
    int i = runs ? find(runs, run) : RUNS_KEPT;
    return i < RUNS_KEPT && runs->next[i] == index;
}

void runs_took(struct runs **runs_p, struct slab *memory, uint64_t run, uint32_t index)
{
    if (run == 0)
        return;
    if (!*runs_p) {
        *runs_p = slab_get(memory);
        (*runs_p)->home = runs_p;
    }
    struct runs *runs = *runs_p;
    int i = find(runs, run);
    for (i = i < RUNS_KEPT ? i : RUNS_KEPT - 1; i > 0; i--) {
        runs->run[i] = runs->run[i - 1];
        runs->next[i] = runs->next[i - 1];
    }
    runs->run[0] = run;
    runs->next[0] = index + 1;
    runs->is_recent = true;
}

void runs_age(struct runs **runs)
{
    if (!*runs)
        return;
    if (!(*runs)->is_recent)
        runs_free(runs);
    else
        (*runs)->is_recent = false;
}

void runs_free(struct runs **runs)
{
    if (*runs)
        slab_put(slab_of(*runs), *runs);
    *runs = NULL;
}
