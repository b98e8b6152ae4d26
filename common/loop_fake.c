#include "loop_fake.h"

#include <stdlib.h>

#include "check.h"
#include "loop_task.h"

enum { LOOP_MAGIC = 0x46616b65, WATCH_MAGIC = 0x57617463 };

/* Where the clocks start: far from zero, so that code which mistakes 0 for "never" is seen. */
#define START_MONO_MS UINT64_C(1000000)
#define START_WALL_MS UINT64_C(1750000000000)

struct loop {
    uint32_t magic;
    bool is_stopping;
    uint64_t now_ms, stalled_ms;
    uint64_t timer_seq; /* timers due at the same time fire in the order they were started */
    struct list watches, timers, signals;
    struct loop_tasks tasks;
};

/* Lies inside struct loop_fd. */
struct watch {
    uint32_t magic;
    int fd, wants;
    struct list link;
    loop_fd_fn *fn;
    void *arg;
};

struct loop_timer {
    struct list link;
    struct loop *loop;
    loop_fn *fn;
    void *arg;
    bool is_on;
    uint64_t due_ms, every_ms, seq;
};

struct loop_signal {
    struct list link;
    int signo;
    loop_fn *fn;
    void *arg;
};

_Static_assert(sizeof(struct watch) <= sizeof(struct loop_fd), "struct loop_fd holds a watch");

struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));
    loop->magic = LOOP_MAGIC;
    loop->now_ms = START_MONO_MS;
    list_init(&loop->watches);
    list_init(&loop->timers);
    list_init(&loop->signals);
    loop_tasks_init(&loop->tasks);
    return loop;
}

void loop_free(struct loop **loop)
{
    struct loop *mine = *loop;
    if (!mine)
        return;
    *loop = NULL;
    loop_tasks_run_reaped(&mine->tasks);
    mine->magic = 0;
    /* Leave no pointer to the loop behind: what is released later must not write into it. */
    struct list *heads[] = {&mine->watches, &mine->timers, &mine->signals};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        while (list_pop(heads[i]))
            ;
    free(mine);
}

static bool is_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

static struct loop_timer *next_timer(struct loop *loop)
{
    struct loop_timer *first = NULL;
    list_each (it, &loop->timers) {
        struct loop_timer *timer = container_of(it, struct loop_timer, link);
        if (timer->is_on && (!first || is_before(timer, first)))
            first = timer;
    }
    return first;
}

static void fire(struct loop *loop, struct loop_timer *timer)
{
    timer->is_on = timer->every_ms > 0;
    timer->due_ms = loop->now_ms + timer->every_ms;
    timer->seq = ++loop->timer_seq;
    timer->fn(timer->arg); /* may free the timer */
}

void loop_fake_end_turn(struct loop *loop)
{
    MAGIC_CHECK(loop, LOOP_MAGIC);
    loop_tasks_run(&loop->tasks);
}

void loop_fake_stall(struct loop *loop, uint64_t ms)
{
    loop->stalled_ms += ms;
}

void loop_fake_advance(struct loop *loop, uint64_t ms)
{
    uint64_t until_ms = loop->now_ms + loop->stalled_ms + ms;
    loop->stalled_ms = 0;
    if (loop_tasks_pending(&loop->tasks)) /* a real loop would not sleep over them */
        loop_fake_end_turn(loop);
    for (;;) {
        struct loop_timer *timer = next_timer(loop);
        if (!timer || timer->due_ms > until_ms)
            break;
        if (timer->due_ms > loop->now_ms)
            loop->now_ms = timer->due_ms;
        fire(loop, timer);
        loop_fake_end_turn(loop);
    }
    loop->now_ms = until_ms;
}

void loop_turn(struct loop *loop)
{
    struct loop_timer *timer = next_timer(loop);
    if (timer && timer->due_ms <= loop->now_ms)
        fire(loop, timer);
    loop_fake_end_turn(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop->is_stopping) {
        struct loop_timer *timer = next_timer(loop);
        CHECK(timer || loop_tasks_pending(&loop->tasks)); /* else nothing would ever happen */
        if (!loop_tasks_pending(&loop->tasks) && timer->due_ms > loop->now_ms)
            loop->now_ms = timer->due_ms;
        loop_turn(loop);
    }
    loop->is_stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = true;
}

void loop_after_fork(struct loop *loop)
{
    (void)loop;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

uint64_t loop_fresh_ms(const struct loop *loop)
{
    return loop->now_ms + loop->stalled_ms;
}

uint64_t loop_wall_ms(const struct loop *loop)
{
    return START_WALL_MS + (loop->now_ms - START_MONO_MS);
}

static struct watch *watch_of(struct loop_fd *fd)
{
    struct watch *watch = (struct watch *)(void *)fd->event;
    MAGIC_CHECK(watch, WATCH_MAGIC);
    return watch;
}

static struct watch *find_watch(struct loop *loop, int fd)
{
    list_each (it, &loop->watches) {
        struct watch *watch = container_of(it, struct watch, link);
        if (watch->fd == fd)
            return watch;
    }
    return NULL;
}

void loop_fd_init(struct loop *loop, struct loop_fd *fd_watch, int fd, loop_fd_fn *fn, void *arg)
{
    CHECK(!find_watch(loop, fd)); /* the last owner of this number did not release it */
    struct watch *watch = (struct watch *)(void *)fd_watch->event;
    *watch = (struct watch){.magic = WATCH_MAGIC, .fd = fd, .fn = fn, .arg = arg};
    list_push(&loop->watches, &watch->link);
}

void loop_fd_want(struct loop_fd *watch, int events)
{
    CHECK((events & ~(LOOP_READ | LOOP_WRITE)) == 0);
    watch_of(watch)->wants = events;
}

void loop_fd_release(struct loop_fd *watch)
{
    struct watch *mine = watch_of(watch);
    mine->wants = 0;
    list_remove(&mine->link);
}

int loop_fake_wants(struct loop *loop, int fd)
{
    struct watch *watch = find_watch(loop, fd);
    return watch ? watch->wants : 0;
}

bool loop_fake_ready(struct loop *loop, int fd, int events)
{
    struct watch *watch = find_watch(loop, fd);
    if (!watch || !(watch->wants & events))
        return false;
    watch->fn(fd, (short)(watch->wants & events), watch->arg);
    loop_fake_end_turn(loop);
    return true;
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
    struct loop_timer *timer = xcalloc(1, sizeof(*timer));
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    list_push(&loop->timers, &timer->link);
    return timer;
}

void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms, uint64_t every_ms)
{
    timer->is_on = true;
    timer->due_ms = timer->loop->now_ms + delay_ms;
    timer->every_ms = every_ms;
    timer->seq = ++timer->loop->timer_seq;
}

void loop_timer_stop(struct loop_timer *timer)
{
    timer->is_on = false;
}

void loop_timer_free(struct loop_timer **timer)
{
    struct loop_timer *mine = *timer;
    if (!mine)
        return;
    *timer = NULL;
    list_remove(&mine->link);
    free(mine);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg)
{
    struct loop_signal *sig = xcalloc(1, sizeof(*sig));
    sig->signo = signo;
    sig->fn = fn;
    sig->arg = arg;
    list_push(&loop->signals, &sig->link);
    return sig;
}

void loop_signal_free(struct loop_signal **sig)
{
    struct loop_signal *mine = *sig;
    if (!mine)
        return;
    *sig = NULL;
    list_remove(&mine->link);
    free(mine);
}

void loop_fake_signal(struct loop *loop, int signo)
{
    list_each (it, &loop->signals) {
        struct loop_signal *sig = container_of(it, struct loop_signal, link);
        if (sig->signo == signo)
            sig->fn(sig->arg);
    }
    loop_fake_end_turn(loop);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    loop_tasks_defer(&loop->tasks, task);
}

void loop_reap(struct loop *loop, struct loop_task *task)
{
    loop_tasks_reap(&loop->tasks, task);
}

struct event_base *loop_event_base(struct loop *loop)
{
    (void)loop;
    CHECK(!"the fake loop has no event base");
    return NULL;
}
