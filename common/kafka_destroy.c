#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "kafka_conf.h"
#include "log.h"

enum { DESTROY_WAIT_S = 10 };

/* Shared by the two threads; the later one frees it. */
struct destruction {
    rd_kafka_t *handle;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool has_ended, is_left_alone;
};

static void destruction_free(struct destruction *d)
{
    pthread_cond_destroy(&d->ended);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static void *destroy(void *arg)
{
    struct destruction *d = arg;
    rd_kafka_destroy_flags(d->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    pthread_mutex_lock(&d->lock);
    d->has_ended = true;
    bool is_mine = d->is_left_alone;
    pthread_cond_signal(&d->ended);
    pthread_mutex_unlock(&d->lock);
    if (is_mine)
        destruction_free(d);
    return NULL;
}

static bool wait_for_end(struct destruction *d)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DESTROY_WAIT_S;
    pthread_mutex_lock(&d->lock);
    while (!d->has_ended && pthread_cond_timedwait(&d->ended, &d->lock, &until) == 0)
        ;
    bool has_ended = d->has_ended;
    d->is_left_alone = !has_ended;
    pthread_mutex_unlock(&d->lock);
    return has_ended;
}

void kafka_handle_destroy(rd_kafka_t *handle)
{
    struct destruction *d = xcalloc(1, sizeof(*d));
    pthread_t thread;
    d->handle = handle;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->ended, NULL);
    CHECK(pthread_create(&thread, NULL, destroy, d) == 0);
    pthread_detach(thread);
    if (wait_for_end(d))
        destruction_free(d);
    else
        log_warn("kafka client does not end: left behind", F_INT("seconds", DESTROY_WAIT_S));
}
