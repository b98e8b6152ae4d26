/* The end-of-turn work of a loop: deferred tasks, then reap tasks. Shared by loop.c and loop_fake.c, used by no other.
 */
#ifndef HERALD_COMMON_LOOP_TASK_H
#define HERALD_COMMON_LOOP_TASK_H

#include "list.h"
#include "loop.h"

struct loop_tasks {
    struct list deferred, later, reaped;
    uint32_t turn;
    bool is_running;
};

void loop_tasks_init(struct loop_tasks *tasks);
void loop_tasks_defer(struct loop_tasks *tasks, struct loop_task *task);
void loop_tasks_reap(struct loop_tasks *tasks, struct loop_task *task);
/* Is anything waiting, so that the next turn must not sleep? */
bool loop_tasks_pending(const struct loop_tasks *tasks);
/* The end of a turn. */
void loop_tasks_run(struct loop_tasks *tasks);
/* The reap tasks alone, when the loop itself ends. */
void loop_tasks_run_reaped(struct loop_tasks *tasks);

#endif
