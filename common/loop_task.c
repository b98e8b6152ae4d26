#include "loop_task.h"

#include "check.h"

void loop_task_init(struct loop_task *task, loop_fn *fn, void *arg)
{
    list_init(&task->link);
    task->fn = fn;
    task->arg = arg;
    task->ran_turn = 0;
    task->is_queued = false;
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
    (void)loop; /* the task knows its list */
    if (!task->is_queued)
        return;
    list_remove(&task->link);
    task->is_queued = false;
}

void loop_tasks_init(struct loop_tasks *tasks)
{
    list_init(&tasks->deferred);
    list_init(&tasks->later);
    list_init(&tasks->reaped);
    tasks->turn = 1; /* a fresh task's ran_turn is 0 */
    tasks->is_running = false;
}

static void queue(struct list *list, struct loop_task *task)
{
    CHECK(task->fn != NULL);
    task->is_queued = true;
    list_push(list, &task->link);
}

void loop_tasks_defer(struct loop_tasks *tasks, struct loop_task *task)
{
    if (task->is_queued)
        return;
    bool has_run = tasks->is_running && task->ran_turn == tasks->turn;
    queue(has_run ? &tasks->later : &tasks->deferred, task);
}

void loop_tasks_reap(struct loop_tasks *tasks, struct loop_task *task)
{
    if (!task->is_queued)
        queue(&tasks->reaped, task);
}

bool loop_tasks_pending(const struct loop_tasks *tasks)
{
    return !list_is_empty(&tasks->deferred) || !list_is_empty(&tasks->reaped);
}

static void run_all(struct loop_tasks *tasks, struct list *list)
{
    struct list *link;
    while ((link = list_pop(list)) != NULL) {
        struct loop_task *task = container_of(link, struct loop_task, link);
        task->is_queued = false;
        task->ran_turn = tasks->turn;
        task->fn(task->arg); /* may free the task */
    }
}

void loop_tasks_run_reaped(struct loop_tasks *tasks)
{
    run_all(tasks, &tasks->reaped);
}

void loop_tasks_run(struct loop_tasks *tasks)
{
    CHECK(!tasks->is_running);
    tasks->is_running = true;
    run_all(tasks, &tasks->deferred);
    /* Memory goes last: no deferred task may still hold it. What a reap task defers waits for the next turn. */
    run_all(tasks, &tasks->reaped);
    tasks->is_running = false;
    tasks->turn++;
    list_splice(&tasks->later, &tasks->deferred);
    list_splice(&tasks->deferred, &tasks->later);
}
