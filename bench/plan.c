#include "bench/plan.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/jwt_sign.h"

enum { FDS_KEPT = 64 }; /* of a process, for what are no connections */

static bool number(const char *text, size_t len, uint64_t *value_r)
{
    char *end, copy[24];
    if (len == 0 || len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *value_r = strtoull(copy, &end, 10);
    return *end == '\0' && copy[0] >= '0' && copy[0] <= '9';
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

static bool set_to(struct stream *stream, const char *value, size_t len)
{
    static const char *const words[] = {"user", "users", "all"};
    for (size_t i = 0; i < 3; i++)
        if (is_word(value, len, words[i])) {
            stream->to = (enum stream_to)i;
            return true;
        }
    return false;
}

static bool set(struct stream *stream, const char *name, size_t name_len, const char *value, size_t len)
{
    uint64_t n;
    if (is_word(name, name_len, "to"))
        return set_to(stream, value, len);
    if (is_word(name, name_len, "class")) {
        stream->is_durable = is_word(value, len, "durable");
        return stream->is_durable || is_word(value, len, "volatile");
    }
    if (!number(value, len, &n))
        return false;
    if (is_word(name, name_len, "rate"))
        stream->rate = n;
    else if (is_word(name, name_len, "size"))
        stream->size = n;
    else if (is_word(name, name_len, "group") && n > 0)
        stream->group = (uint32_t)n;
    else if (is_word(name, name_len, "burst") && n > 0)
        stream->burst = (uint32_t)n;
    else
        return false;
    return true;
}

bool stream_parse(struct stream *stream, const char *text)
{
    *stream = (struct stream){.rate = 1000, .size = 128, .group = 10, .burst = 1};
    while (*text) {
        size_t name_len = strcspn(text, "=");
        const char *value = text + name_len + 1;
        if (text[name_len] != '=')
            return false;
        if (is_word(text, name_len, "fields")) {
            stream->fields = *value ? value : NULL;
            break;
        }
        size_t len = strcspn(value, ",");
        if (!set(stream, text, name_len, value, len))
            return false;
        text = value + len + (value[len] == ',');
    }
    return stream->rate > 0 && !(stream->to == STREAM_TO_ALL && stream->is_durable);
}

uint32_t stream_reach(const struct stream *stream, uint32_t connections)
{
    if (stream->to == STREAM_TO_ALL)
        return connections;
    return stream->to == STREAM_TO_USERS ? stream->group : 1;
}

uint32_t stream_turns(const struct stream *stream, uint32_t connections)
{
    return connections / stream_reach(stream, connections);
}

static const struct option long_options[] = {{"gateway", required_argument, NULL, 'g'},
                                             {"connections", required_argument, NULL, 'n'},
                                             {"processes", required_argument, NULL, 'P'},
                                             {"ramp", required_argument, NULL, 'a'},
                                             {"reconnect", required_argument, NULL, 'e'},
                                             {"brokers", required_argument, NULL, 'b'},
                                             {"topic", required_argument, NULL, 't'},
                                             {"stream", required_argument, NULL, 'm'},
                                             {"warm-up", required_argument, NULL, 'w'},
                                             {"seconds", required_argument, NULL, 's'},
                                             {"drain", required_argument, NULL, 'd'},
                                             {"linger", required_argument, NULL, 'l'},
                                             {"rest", required_argument, NULL, 'r'},
                                             {"raw", no_argument, NULL, 'R'},
                                             {"prefix", required_argument, NULL, 'p'},
                                             {"secret", required_argument, NULL, 'S'},
                                             {NULL, 0, NULL, 0}};

static bool take_number(struct plan *plan, int c)
{
    uint64_t n;
    if (!number(optarg, strlen(optarg), &n))
        return false;
    switch (c) {
    case 'n':
        plan->connections = (uint32_t)n;
        return n > 0 && n < UINT32_MAX;
    case 'P':
        plan->processes = (uint32_t)n;
        return n > 0 && n < 1000;
    case 'a':
        plan->ramp = n;
        return true;
    case 'e':
        plan->reconnect_ms = n;
        return true;
    case 'w':
        plan->warm_up_s = n;
        return true;
    case 's':
        plan->seconds = n;
        return true;
    case 'd':
        plan->drain_s = n;
        return true;
    case 'l':
        plan->linger_ms = n;
        return true;
    case 'r':
        plan->rest_us = n;
        return n < 1000000;
    default:
        return false;
    }
}

static bool take(struct plan *plan, int c)
{
    switch (c) {
    case 'g':
        plan->gateways = optarg;
        return true;
    case 'b':
        plan->brokers = optarg;
        return true;
    case 't':
        plan->topic = optarg;
        return true;
    case 'R':
        plan->is_raw = true;
        return true;
    case 'p':
        plan->prefix = optarg;
        return true;
    case 'S':
        plan->secret = optarg;
        return true;
    case 'm':
        return plan->stream_count < PLAN_STREAMS_MAX && stream_parse(&plan->streams[plan->stream_count++], optarg);
    default:
        return take_number(plan, c);
    }
}

static uint32_t processes_for(uint32_t connections)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    uint64_t room = files.rlim_max > 2 * FDS_KEPT ? files.rlim_max - FDS_KEPT : FDS_KEPT;
    return (uint32_t)((connections + room - 1) / room);
}

static const char *wrong_with(const struct plan *plan)
{
    if (!plan->gateways)
        return "--gateway is needed";
    if (plan->stream_count > 0 && (!plan->brokers || plan->is_raw))
        return "--stream needs --brokers, and no --raw";
    for (size_t i = 0; i < plan->stream_count; i++)
        if (plan->streams[i].to == STREAM_TO_USERS && plan->streams[i].group > plan->connections)
            return "a group is larger than the number of connections";
    return NULL;
}

bool plan_parse(struct plan *plan, int argc, char **argv)
{
    *plan = (struct plan){.connections = 100,
                          .seconds = 5,
                          .drain_s = 15,
                          .topic = "herald.push",
                          .prefix = "b",
                          .secret = JWT_DEV_SECRET};
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (c == '?')
            return false;
        else if (!take(plan, c)) {
            fprintf(stderr, "herald-load: %s is not understood\n", optarg);
            return false;
        }
    const char *wrong = wrong_with(plan);
    if (wrong)
        fprintf(stderr, "herald-load: %s\n", wrong);
    if (plan->processes == 0)
        plan->processes = processes_for(plan->connections);
    return !wrong;
}
