/*
 * herald-devbroker: librdkafka's mock cluster as a program, so that `make run` has something that speaks Kafka without
 * a Java runtime. For development only: everything is in memory, and of that only the newest few MB a partition.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/kafka_mock.h"

enum { BROKERS_MAX = 16, PARTITIONS_MAX = 256, EXIT_USAGE = 2 };

struct settings {
    int brokers, partitions;
    char *topics;
    const char *address_file;
};

static const char usage[] =
    "herald-devbroker - a Kafka-protocol broker in memory, for development only\n"
    "\n"
    "  --brokers N           brokers in the cluster, 1 to 16 (default 1)\n"
    "  --partitions N        partitions of the topics of --topics, 1 to 256 (default 4)\n"
    "  --topics A,B,C        topics to create at the start; others are created at their first use, with 4 partitions\n"
    "  --address-file PATH   write the bootstrap address there as well\n"
    "  --help\n"
    "\n"
    "Prints one line of JSON, {\"bootstrap\":\"127.0.0.1:PORT\",...}, and serves until SIGTERM or SIGINT.\n"
    "It listens on ports the system chooses, on the loopback interface only; a fixed port cannot be asked for, "
    "because\n"
    "the brokers tell clients the ports they chose. It keeps only the newest records of each partition (about 5 MB),\n"
    "forgets everything when it ends, and has no admin requests (CreateTopics, DescribeGroups ...), no retention\n"
    "settings, no security. For anything else use a real Kafka: herald-local --broker kafka.\n";

/* Strictly decimal, min..max; -1 else. */
static int number(const char *text, int min, int max)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max)
        return -1;
    return (int)value;
}

static int bad_number(const char *option, int max)
{
    fprintf(stderr, "herald-devbroker: %s wants a number from 1 to %d\n", option, max);
    return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int read_options(struct settings *settings, int argc, char **argv)
{
    static const struct option options[] = {
        {"brokers", required_argument, NULL, 'b'}, {"partitions", required_argument, NULL, 'p'},
        {"topics", required_argument, NULL, 't'},  {"address-file", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'b':
            if ((settings->brokers = number(optarg, 1, BROKERS_MAX)) < 0)
                return bad_number("--brokers", BROKERS_MAX);
            break;
        case 'p':
            if ((settings->partitions = number(optarg, 1, PARTITIONS_MAX)) < 0)
                return bad_number("--partitions", PARTITIONS_MAX);
            break;
        case 't':
            free(settings->topics);
            settings->topics = xstrdup(optarg);
            break;
        case 'a':
            settings->address_file = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs("herald-devbroker: see --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "herald-devbroker: unknown argument %s, see --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

static bool create_topics(struct kafka_mock *mock, const struct settings *settings)
{
    char *rest = settings->topics, *topic;
    while ((topic = strsep(&rest, ","))) {
        if (!*topic)
            continue;
        if (kafka_mock_create_topic(mock, topic, settings->partitions) != ERR_OK) {
            fprintf(stderr, "herald-devbroker: topic %s cannot be created\n", topic);
            return false;
        }
    }
    return true;
}

/* Whole or not at all: whoever waits for the file must not read half of it. */
static bool write_address(const char *path, const char *address)
{
    char draft[4096];
    if (snprintf(draft, sizeof draft, "%s.new", path) >= (int)sizeof draft)
        return false;
    FILE *file = fopen(draft, "w");
    if (!file)
        return false;
    bool is_written = fprintf(file, "%s\n", address) > 0;
    is_written = fclose(file) == 0 && is_written;
    return is_written && rename(draft, path) == 0;
}

static int serve(struct kafka_mock *mock, const struct settings *settings, const sigset_t *signals)
{
    const char *address = kafka_mock_address(mock);
    if (!create_topics(mock, settings))
        return EXIT_FAILURE;
    if (settings->address_file && !write_address(settings->address_file, address)) {
        fprintf(stderr, "herald-devbroker: cannot write %s: %s\n", settings->address_file, strerror(errno));
        return EXIT_FAILURE;
    }
    fputs("herald-devbroker: for development only: keeps the newest few MB of each partition, in memory\n", stderr);
    printf("{\"bootstrap\":\"%s\",\"brokers\":%d,\"partitions\":%d,\"pid\":%d}\n", address, settings->brokers,
           settings->partitions, (int)getpid());
    fflush(stdout);
    int signo;
    sigwait(signals, &signo);
    if (settings->address_file)
        unlink(settings->address_file);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct settings settings = {.brokers = 1, .partitions = 4, .topics = xstrdup("")};
    int status = read_options(&settings, argc, argv);
    if (status < 0) {
        sigset_t signals; /* blocked before librdkafka makes its threads, so that they inherit it */
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        pthread_sigmask(SIG_BLOCK, &signals, NULL);
        struct kafka_mock *mock = kafka_mock_new(settings.brokers);
        status = mock ? serve(mock, &settings, &signals) : EXIT_FAILURE;
        kafka_mock_free(&mock);
    }
    free(settings.topics);
    return status;
}
