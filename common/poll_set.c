#include "poll_set.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"

enum { POLL_SET_MAGIC = 0x506f6c53, SERVED_MAX = 512 /* in one turn, so that others get theirs */ };

struct poll_set {
    uint32_t magic;
    int epoll;
    poll_set_fn *fn;
    struct loop_fd watch;
    struct epoll_event served[SERVED_MAX];
};

/* What libevent makes of them, so that both ways to watch say the same. */
static uint32_t happened(uint32_t epoll_events)
{
    if (epoll_events & (EPOLLERR | EPOLLHUP))
        return LOOP_READ | LOOP_WRITE;
    return (epoll_events & EPOLLIN ? LOOP_READ : 0) | (epoll_events & EPOLLOUT ? LOOP_WRITE : 0);
}

static void on_ready(int epoll, short events, void *arg)
{
    struct poll_set *set = arg;
    MAGIC_CHECK(set, POLL_SET_MAGIC);
    (void)events;
    int count = epoll_wait(epoll, set->served, SERVED_MAX, 0);
    for (int i = 0; i < count; i++) {
        struct poll_member *member = set->served[i].data.ptr;
        /* one that was released or changed its mind meanwhile is asked for what it wants now */
        uint32_t now = happened(set->served[i].events) & member->wanted;
        if (now)
            set->fn(member, (int)now);
    }
}

struct poll_set *poll_set_new(struct loop *loop, poll_set_fn *fn)
{
    struct poll_set *set = xcalloc(1, sizeof *set);
    set->magic = POLL_SET_MAGIC;
    set->fn = fn;
    set->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(set->epoll >= 0);
    loop_fd_init(loop, &set->watch, set->epoll, on_ready, set);
    loop_fd_want(&set->watch, LOOP_READ);
    return set;
}

void poll_set_free(struct poll_set **set)
{
    struct poll_set *mine = *set;
    *set = NULL;
    if (!mine)
        return;
    loop_fd_release(&mine->watch);
    close(mine->epoll);
    mine->magic = 0;
    free(mine);
}

void poll_member_init(struct poll_member *member, int fd)
{
    *member = (struct poll_member){.fd = fd};
}

static void control(struct poll_set *set, int how, struct poll_member *member, uint32_t events)
{
    struct epoll_event event = {.data.ptr = member};
    event.events = (events & LOOP_READ ? EPOLLIN : 0) | (events & LOOP_WRITE ? EPOLLOUT : 0);
    CHECK(epoll_ctl(set->epoll, how, member->fd, &event) == 0);
}

/* Without a wish it leaves the set: epoll tells of a broken connection whether asked or not, again and again. */
void poll_set_want(struct poll_set *set, struct poll_member *member, uint32_t events)
{
    CHECK((events & ~(uint32_t)(LOOP_READ | LOOP_WRITE)) == 0);
    if (member->wanted == events)
        return;
    int how = !member->wanted ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    control(set, how, member, events);
    member->wanted = events;
}

void poll_set_moved(struct poll_set *set, struct poll_member *to)
{
    if (to->wanted)
        control(set, EPOLL_CTL_MOD, to, to->wanted);
}

void poll_set_release(struct poll_set *set, struct poll_member *member)
{
    poll_set_want(set, member, 0);
}
