#include "gateway/session/taken.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/table.h"

/* The last used first; 0: none. */
struct taken {
    uint64_t run[TAKEN_RUNS];
    uint32_t next[TAKEN_RUNS];
    uint64_t source[TAKEN_SOURCES]; /* hashes; one that is met by chance costs a way by the mailbox */
    int64_t offset[TAKEN_SOURCES];
    bool is_recent;
    struct taken **home; /* what points here */
};

struct slab *taken_memory_new(void)
{
    return slab_new("taken", sizeof(struct taken));
}

static bool move(void *arg, void *from, void *to)
{
    struct taken *taken = to;
    (void)arg;
    CHECK(*taken->home == from);
    *taken->home = taken;
    return true;
}

size_t taken_compact(struct slab *memory, size_t max)
{
    return slab_compact(memory, max, move, NULL);
}

void taken_moved(struct taken **taken)
{
    if (*taken)
        (*taken)->home = taken;
}

static struct taken *obtain(struct taken **taken, struct slab *memory)
{
    if (!*taken) {
        *taken = slab_get(memory);
        (*taken)->home = taken;
    }
    (*taken)->is_recent = true;
    return *taken;
}

static int find(const uint64_t *all, int count, uint64_t which)
{
    int i = 0;
    while (i < count && all[i] != which)
        i++;
    return i;
}

/* --- runs ------------------------------------------------------------------------------------------------------------
 */

bool taken_admits(const struct taken *taken, uint64_t run, uint32_t index)
{
    if (run == 0 || index == 0)
        return true;
    int i = taken ? find(taken->run, TAKEN_RUNS, run) : TAKEN_RUNS;
    return i < TAKEN_RUNS && taken->next[i] == index;
}

void taken_live(struct taken **taken_p, struct slab *memory, uint64_t run, uint32_t index)
{
    if (run == 0)
        return;
    struct taken *taken = obtain(taken_p, memory);
    int i = find(taken->run, TAKEN_RUNS, run);
    for (i = i < TAKEN_RUNS ? i : TAKEN_RUNS - 1; i > 0; i--) {
        taken->run[i] = taken->run[i - 1];
        taken->next[i] = taken->next[i - 1];
    }
    taken->run[0] = run;
    taken->next[0] = index + 1;
}

/* --- mailboxes -------------------------------------------------------------------------------------------------------
 */

/* Offsets compare within the source that it returns; 0: it has none. */
static uint64_t source_of(const Herald__V1__Delivery *delivery, bool is_device, int64_t *offset_r)
{
    const char *slash = strrchr(delivery->source, '/');
    char *end;
    if (!slash)
        return 0;
    errno = 0;
    *offset_r = strtoll(slash + 1, &end, 10);
    if (end == slash + 1 || *end != '\0' || errno != 0)
        return 0;
    uint64_t parts[4] = {table_hash(delivery->source, (size_t)(slash - delivery->source)), (uint64_t)delivery->life,
                         (uint64_t)delivery->priority, is_device};
    return table_hash(parts, sizeof parts) | 1;
}

bool taken_is_overtaken(const struct taken *taken, const Herald__V1__Delivery *delivery, bool is_device)
{
    int64_t offset;
    if (!taken || taken->source[0] == 0)
        return false;
    uint64_t source = source_of(delivery, is_device, &offset);
    int i = source != 0 ? find(taken->source, TAKEN_SOURCES, source) : TAKEN_SOURCES;
    return i < TAKEN_SOURCES && offset <= taken->offset[i];
}

void taken_entry(struct taken **taken_p, struct slab *memory, const Herald__V1__Delivery *delivery, bool is_device)
{
    int64_t offset;
    uint64_t source = source_of(delivery, is_device, &offset);
    if (source == 0)
        return;
    struct taken *taken = obtain(taken_p, memory);
    int i = find(taken->source, TAKEN_SOURCES, source);
    if (i < TAKEN_SOURCES && taken->offset[i] > offset)
        offset = taken->offset[i]; /* it is read again */
    for (i = i < TAKEN_SOURCES ? i : TAKEN_SOURCES - 1; i > 0; i--) {
        taken->source[i] = taken->source[i - 1];
        taken->offset[i] = taken->offset[i - 1];
    }
    taken->source[0] = source;
    taken->offset[0] = offset;
}

/* --- its life --------------------------------------------------------------------------------------------------------
 */

void taken_age(struct taken **taken)
{
    if (!*taken)
        return;
    if (!(*taken)->is_recent)
        taken_free(taken);
    else
        (*taken)->is_recent = false;
}

void taken_free(struct taken **taken)
{
    if (*taken)
        slab_put(slab_of(*taken), *taken);
    *taken = NULL;
}
