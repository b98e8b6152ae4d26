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

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "common/check.h"

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

/* The instance that the mock cluster needs for its book-keeping; it connects to nobody. */
static rd_kafka_t *make_instance(void)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "client.id", "herald-devbroker", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "3", NULL, 0); /* it has no bootstrap.servers, and would warn of it */
    rd_kafka_t *instance = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!instance) {
        rd_kafka_conf_destroy(conf);
        fprintf(stderr, "herald-devbroker: %s\n", why);
    }
    return instance;
}

static bool create_topics(rd_kafka_mock_cluster_t *cluster, const struct settings *settings)
{
    char *rest = settings->topics, *topic;
    while ((topic = strsep(&rest, ","))) {
        if (!*topic)
            continue;
        rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(cluster, topic, settings->partitions, 1);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fprintf(stderr, "herald-devbroker: topic %s: %s\n", topic, rd_kafka_err2str(err));
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

static int serve(rd_kafka_mock_cluster_t *cluster, const struct settings *settings, const sigset_t *signals)
{
    const char *address = rd_kafka_mock_cluster_bootstraps(cluster);
    if (!create_topics(cluster, settings))
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
        rd_kafka_t *instance = make_instance();
        rd_kafka_mock_cluster_t *cluster = instance ? rd_kafka_mock_cluster_new(instance, settings.brokers) : NULL;
        status = cluster ? serve(cluster, &settings, &signals) : EXIT_FAILURE;
        if (cluster)
            rd_kafka_mock_cluster_destroy(cluster);
        if (instance)
            rd_kafka_destroy(instance);
    }
    free(settings.topics);
    return status;
}
