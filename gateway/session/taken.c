#include "gateway/session/taken.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/table.h"

/* How far a run, or a source, has come. what 0: nothing. */
struct mark {
    uint64_t what; /* of a source its hash: one that is met by chance costs a way by the mailbox */
    int64_t next;  /* the first that was not taken */
};

/* The last used first. */
struct taken {
    struct mark runs[TAKEN_RUNS], sources[TAKEN_SOURCES];
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

/* NULL: not among them. */
static const struct mark *find(const struct mark *marks, int count, uint64_t what)
{
    for (int i = 0; i < count; i++)
        if (marks[i].what == what)
            return &marks[i];
    return NULL;
}

/* To the front; the one that was not used for longest goes when it is a new one. */
static void set(struct mark *marks, int count, uint64_t what, int64_t next)
{
    int i = 0;
    while (i < count - 1 && marks[i].what != what)
        i++;
    memmove(marks + 1, marks, (size_t)i * sizeof *marks);
    marks[0] = (struct mark){what, next};
}

/* --- runs ------------------------------------------------------------------------------------------------------------
 */

bool taken_admits(const struct taken *taken, uint64_t run, uint32_t index)
{
    if (run == 0 || index == 0)
        return true;
    const struct mark *mark = taken ? find(taken->runs, TAKEN_RUNS, run) : NULL;
    return mark && mark->next == index;
}

void taken_live(struct taken **taken, struct slab *memory, uint64_t run, uint32_t index)
{
    if (run != 0)
        set(obtain(taken, memory)->runs, TAKEN_RUNS, run, (int64_t)index + 1);
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
    if (end == slash + 1 || *end != '\0' || errno != 0 || *offset_r < 0 || *offset_r == INT64_MAX)
        return 0;
    uint64_t parts[4] = {table_hash(delivery->source, (size_t)(slash - delivery->source)), (uint64_t)delivery->life,
                         (uint64_t)delivery->priority, is_device};
    return table_hash(parts, sizeof parts) | 1;
}

bool taken_is_overtaken(const struct taken *taken, const Herald__V1__Delivery *delivery, bool is_device)
{
    int64_t offset;
    if (!taken || taken->sources[0].what == 0)
        return false;
    uint64_t source = source_of(delivery, is_device, &offset);
    const struct mark *mark = source != 0 ? find(taken->sources, TAKEN_SOURCES, source) : NULL;
    return mark && offset < mark->next;
}

void taken_entry(struct taken **taken_p, struct slab *memory, const Herald__V1__Delivery *delivery, bool is_device)
{
    int64_t offset;
    uint64_t source = source_of(delivery, is_device, &offset);
    if (source == 0)
        return;
    struct taken *taken = obtain(taken_p, memory);
    const struct mark *mark = find(taken->sources, TAKEN_SOURCES, source);
    bool is_again = mark && mark->next > offset; /* the mailbox is read from its beginning */
    set(taken->sources, TAKEN_SOURCES, source, is_again ? mark->next : offset + 1);
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
