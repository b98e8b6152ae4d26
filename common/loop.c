#include "loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "log.h"
#include "loop_task.h"

/* Timers that repeat after a multiple of GRID_MS do it on that grid, so that one wake-up serves all of them. A gateway
 * worker has a dozen, and waking was most of what an idle one cost. */
enum { GRID_MS = 50, COARSE_MS = 4 /* the steps of libevent's clock: on the grid, late is better than twice */ };
enum { LOOP_MAGIC = 0x4c6f6f70, TIMER_MAGIC = 0x54696d65, SIGNAL_MAGIC = 0x5369676e };

struct loop {
    uint32_t magic;
    bool is_stopping, is_in_turn;
    bool has_mono, has_wall; /* the clocks were read in this turn */
    uint64_t mono_ms, wall_ms;
    uint64_t grid_phase_ms; /* a process's own: or all workers would wake at the same moment */
    struct event_base *base;
    struct loop_tasks tasks;
};

struct loop_timer {
    uint32_t magic;
    struct loop *loop;
    struct event *event;
    loop_fn *fn;
    void *arg;
    uint64_t due_ms, every_ms;
};

struct loop_signal {
    uint32_t magic;
    struct event *event;
    loop_fn *fn;
    void *arg;
};

_Static_assert((int)LOOP_READ == EV_READ && (int)LOOP_WRITE == EV_WRITE, "loop_fd_want() hands them on as they are");
_Static_assert(sizeof(struct event) <= sizeof(((struct loop_fd *)0)->event), "struct loop_fd holds an event");
_Static_assert(_Alignof(struct event) <= _Alignof(struct loop_fd), "struct loop_fd holds an event");

static void libevent_log(int severity, const char *text)
{
    enum log_level level = severity == EVENT_LOG_DEBUG ? LOG_DEBUG : severity == EVENT_LOG_MSG ? LOG_INFO : LOG_WARN;
    log_limited(level, "libevent", F_STR("text", text));
}

static void libevent_fatal(int error)
{
    log_error("libevent cannot go on", F_INT("code", error));
    abort();
}

struct loop *loop_new(void)
{
    CHECK(event_get_struct_event_size() == sizeof(struct event)); /* the library we run with, not only its header */
    event_set_mem_functions(xmalloc, xrealloc, free); /* what it could not queue would be lost without a word */
    event_set_log_callback(libevent_log);
    event_set_fatal_callback(libevent_fatal);
    struct event_config *config = event_config_new();
    CHECK(config);
    /* The changelist makes one epoll_ctl of each change of interest, and none of those undone within a turn. It
     * asks that no watched descriptor is a dup() of another, and that watches end before their close(). */
    event_config_set_flag(config,
                          EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_IGNORE_ENV);
    struct loop *loop = xcalloc(1, sizeof(*loop));
    loop->magic = LOOP_MAGIC;
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    CHECK(loop->base);
    loop->grid_phase_ms = (uint64_t)getpid() % GRID_MS;
    loop_tasks_init(&loop->tasks);
    return loop;
}

void loop_free(struct loop **loop)
{
    struct loop *mine = *loop;
    if (!mine)
        return;
    *loop = NULL;
    CHECK(!mine->is_in_turn);
    loop_tasks_run_reaped(&mine->tasks);
    event_base_free(mine->base);
    mine->magic = 0;
    free(mine);
}

static void turn(struct loop *loop, int flags)
{
    MAGIC_CHECK(loop, LOOP_MAGIC);
    CHECK(!loop->is_in_turn);
    if (loop_tasks_pending(&loop->tasks))
        flags |= EVLOOP_NONBLOCK;
    loop->is_in_turn = true;
    loop->has_mono = loop->has_wall = false;
    CHECK(event_base_loop(loop->base, EVLOOP_ONCE | flags) >= 0);
    loop_tasks_run(&loop->tasks);
    loop->is_in_turn = false;
}

void loop_run(struct loop *loop)
{
    while (!loop->is_stopping)
        turn(loop, EVLOOP_NO_EXIT_ON_EMPTY);
    loop->is_stopping = false;
}

void loop_turn(struct loop *loop)
{
    turn(loop, 0);
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = true;
}

void loop_after_fork(struct loop *loop)
{
    CHECK(event_reinit(loop->base) == 0);
}

/* The clock is read when it is first asked for in a turn: that is after the wait, and idle turns read none. */
uint64_t loop_now_ms(const struct loop *loop)
{
    if (!loop->is_in_turn)
        return clock_mono_ms();
    if (!loop->has_mono) {
        struct loop *cache = (struct loop *)loop;
        cache->mono_ms = clock_mono_ms();
        cache->has_mono = true;
    }
    return loop->mono_ms;
}

uint64_t loop_fresh_ms(const struct loop *loop)
{
    (void)loop;
    return clock_mono_ms();
}

uint64_t loop_wall_ms(const struct loop *loop)
{
    if (!loop->is_in_turn)
        return clock_wall_ms();
    if (!loop->has_wall) {
        struct loop *cache = (struct loop *)loop;
        cache->wall_ms = clock_wall_ms();
        cache->has_wall = true;
    }
    return loop->wall_ms;
}

static struct event *event_of(struct loop_fd *watch)
{
    return (struct event *)(void *)watch->event;
}

/* libevent's callback has the signature of loop_fd_fn, so nothing stands between. */
void loop_fd_init(struct loop *loop, struct loop_fd *watch, int fd, loop_fd_fn *fn, void *arg)
{
    CHECK(event_assign(event_of(watch), loop->base, fd, EV_PERSIST, fn, arg) == 0);
}

void loop_fd_want(struct loop_fd *watch, int events)
{
    CHECK((events & ~(LOOP_READ | LOOP_WRITE)) == 0);
    struct event *event = event_of(watch);
    struct event_base *base;
    evutil_socket_t fd;
    short old;
    event_callback_fn fn;
    void *arg;
    event_get_assignment(event, &base, &fd, &old, &fn, &arg);
    if ((old & (LOOP_READ | LOOP_WRITE)) == events)
        return;
    event_del(event);
    CHECK(event_assign(event, base, fd, (short)(events | EV_PERSIST), fn, arg) == 0);
    if (events)
        CHECK(event_add(event, NULL) == 0);
}

void loop_fd_release(struct loop_fd *watch)
{
    loop_fd_want(watch, 0);
}

static bool is_on_grid(const struct loop_timer *timer)
{
    return timer->every_ms > 0 && timer->every_ms % GRID_MS == 0;
}

static void add_timeout(struct loop_timer *timer, uint64_t now_ms)
{
    uint64_t delay_ms = timer->due_ms > now_ms ? timer->due_ms - now_ms : 0;
    if (is_on_grid(timer))
        delay_ms += COARSE_MS;
    struct timeval tv = {.tv_sec = (time_t)(delay_ms / 1000), .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)};
    CHECK(event_add(timer->event, &tv) == 0);
}

static uint64_t next_due(const struct loop_timer *timer, uint64_t due_ms)
{
    if (!is_on_grid(timer))
        return due_ms;
    uint64_t beyond_ms = (due_ms + timer->loop->grid_phase_ms) % GRID_MS;
    return beyond_ms ? due_ms + GRID_MS - beyond_ms : due_ms;
}

static void on_timeout(evutil_socket_t fd, short events, void *arg)
{
    struct loop_timer *timer = arg;
    MAGIC_CHECK(timer, TIMER_MAGIC);
    (void)fd;
    (void)events;
    uint64_t now_ms = loop_now_ms(timer->loop);
    if (now_ms < timer->due_ms) { /* libevent counts by the coarse clock, some milliseconds behind ours */
        add_timeout(timer, now_ms);
        return;
    }
    if (timer->every_ms) {
        timer->due_ms = next_due(timer, timer->due_ms + timer->every_ms);
        if (timer->due_ms <= now_ms)
            timer->due_ms = next_due(timer, now_ms + timer->every_ms);
        add_timeout(timer, now_ms);
    }
    timer->fn(timer->arg); /* may free the timer */
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
    struct loop_timer *timer = xcalloc(1, sizeof(*timer));
    timer->magic = TIMER_MAGIC;
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    timer->event = evtimer_new(loop->base, on_timeout, timer);
    CHECK(timer->event);
    return timer;
}

void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms, uint64_t every_ms)
{
    uint64_t now_ms = loop_now_ms(timer->loop);
    timer->every_ms = every_ms;
    timer->due_ms = next_due(timer, now_ms + delay_ms);
    add_timeout(timer, now_ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
    event_del(timer->event);
}

void loop_timer_free(struct loop_timer **timer)
{
    struct loop_timer *mine = *timer;
    if (!mine)
        return;
    *timer = NULL;
    event_free(mine->event);
    mine->magic = 0;
    free(mine);
}

static void on_signal(evutil_socket_t signo, short events, void *arg)
{
    struct loop_signal *sig = arg;
    MAGIC_CHECK(sig, SIGNAL_MAGIC);
    (void)signo;
    (void)events;
    sig->fn(sig->arg);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg)
{
    struct loop_signal *sig = xcalloc(1, sizeof(*sig));
    sig->magic = SIGNAL_MAGIC;
    sig->fn = fn;
    sig->arg = arg;
    sig->event = evsignal_new(loop->base, signo, on_signal, sig);
    CHECK(sig->event);
    CHECK(event_add(sig->event, NULL) == 0);
    return sig;
}

void loop_signal_free(struct loop_signal **sig)
{
    struct loop_signal *mine = *sig;
    if (!mine)
        return;
    *sig = NULL;
    event_free(mine->event);
    mine->magic = 0;
    free(mine);
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
    return loop->base;
}
