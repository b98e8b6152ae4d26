/* What herald-load was told to do, from its command line. */
#ifndef HERALD_BENCH_PLAN_H
#define HERALD_BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAN_STREAMS_MAX = 8 };

enum stream_to { STREAM_TO_USER, STREAM_TO_USERS, STREAM_TO_ALL };

/* Messages of one kind at a steady rate, each user's numbered without a gap. */
struct stream {
    enum stream_to to;
    bool is_durable;
    uint64_t rate;      /* pushes a second, over all users */
    uint64_t size;      /* bytes of a push's content */
    uint32_t group;     /* STREAM_TO_USERS: users a push */
    uint32_t burst;     /* so many are due at once */
    const char *fields; /* further members of the push, as JSON text `"name":value,...`; or NULL */
};

struct plan {
    const char *gateways; /* HOST:PORT,... ; connections go round-robin */
    const char *brokers, *topic, *prefix, *secret;
    uint32_t connections, processes;
    uint64_t ramp;         /* connections opened a second, over all processes; 0: as fast as they are taken */
    uint64_t reconnect_ms; /* a connection that was closed comes back within so long, at random; 0: not at all */
    uint64_t warm_up_s, seconds;
    uint64_t drain_s;   /* after the last push was due: how long what is missing is waited for */
    uint64_t linger_ms; /* of the producer */
    uint64_t rest_us; /* a client that has read looks again after so long, and is not woken before; 0: woken at once */
    bool is_raw;      /* bare TCP connections that only read */
    struct stream streams[PLAN_STREAMS_MAX];
    size_t stream_count;
};

/* Prints what is wrong to standard error; false: it was. The strings stay in argv. */
bool plan_parse(struct plan *plan, int argc, char **argv);
/* "to=user|users|all,class=volatile|durable,rate=N,size=BYTES,group=N,burst=N,fields=JSON"; fields comes last, since
 * it may have commas. */
bool stream_parse(struct stream *stream, const char *text);

/* How many connections a push of that stream reaches. */
uint32_t stream_reach(const struct stream *stream, uint32_t connections);
/* How many targets take turns: users, groups, or 1. */
uint32_t stream_turns(const struct stream *stream, uint32_t connections);

#endif
