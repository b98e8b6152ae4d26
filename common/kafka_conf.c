#include "kafka_conf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"
#include "log.h"

static enum err set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return ERR_OK;
    /* not `why`: it quotes the value, which may be a password */
    log_error("kafka property is unknown or has a bad value", F_STR("property", name));
    return ERR_INVALID;
}

static enum err set_all(rd_kafka_conf_t *conf, const struct kafka_property *list)
{
    for (; list->name; list++) {
        enum err err = set(conf, list->name, list->value);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err set_options(rd_kafka_conf_t *conf, const struct option_list *properties)
{
    for (size_t i = 0; i < properties->count; i++) {
        const char *pair = properties->items[i];
        const char *equals = strchr(pair, '=');
        if (!equals || equals == pair) {
            log_error("kafka.properties must be name=value", F_UINT("item", i + 1));
            return ERR_INVALID;
        }
        char *name = xstrndup(pair, (size_t)(equals - pair));
        enum err err = set(conf, name, equals + 1);
        free(name);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
    (void)handle;
    if (strcmp(facility, "CONFWARN") == 0) /* that a property is only for the other of producer and consumer */
        level = 7;
    enum log_level to = level <= 3 ? LOG_ERROR : level == 4 ? LOG_WARN : level <= 6 ? LOG_INFO : LOG_DEBUG;
    log_limited(to, "kafka client", F_STR("facility", facility), F_STR("text", text));
}

rd_kafka_conf_t *kafka_conf_new(const struct kafka_options *options, const struct kafka_property *preset,
                                const struct kafka_property *fixed)
{
    static const struct kafka_property common[] = {{"socket.nagle.disable", "true"},
                                                   {"socket.keepalive.enable", "true"},
                                                   {"log.connection.close", "false"},
                                                   {"reconnect.backoff.ms", "100"},
                                                   {"reconnect.backoff.max.ms", "2000"},
                                                   {"statistics.interval.ms", "0"},
                                                   {"client.id", "herald"},
                                                   {NULL, NULL}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (set_all(conf, common) != ERR_OK || set(conf, "bootstrap.servers", options->brokers) != ERR_OK ||
        set_all(conf, preset) != ERR_OK || set_options(conf, &options->properties) != ERR_OK ||
        set_all(conf, fixed) != ERR_OK || set(conf, "log.queue", "true") != ERR_OK) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    return conf;
}

rd_kafka_t *kafka_handle_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[512];
    rd_kafka_t *handle = rd_kafka_new(type, conf, why, sizeof why);
    if (!handle) {
        rd_kafka_conf_destroy(conf);
        log_error("kafka client cannot start", F_STR("why", why));
        return NULL;
    }
    rd_kafka_set_log_queue(handle, NULL);
    return handle;
}

enum err kafka_err(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return ERR_OK;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return ERR_FULL;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return ERR_TOO_LARGE;
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        return ERR_TIMEOUT;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__DESTROY:
        return ERR_CLOSED;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return ERR_REFUSED;
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
        return ERR_INVALID;
    default:
        return ERR_AWAY;
    }
}

static void on_wake(int fd, short events, void *arg)
{
    (void)events;
    struct kafka_wake *wake = arg;
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got; /* EAGAIN: already taken */
    wake->fn(wake->arg);
}

void kafka_wake_init(struct kafka_wake *wake, struct loop *loop, loop_fn *fn, void *arg)
{
    wake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(wake->fd >= 0);
    wake->fn = fn;
    wake->arg = arg;
    loop_fd_init(loop, &wake->watch, wake->fd, on_wake, wake);
    loop_fd_want(&wake->watch, LOOP_READ);
}

void kafka_wake_attach(struct kafka_wake *wake, rd_kafka_queue_t *queue)
{
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, wake->fd, &one, sizeof one);
    /* the event fires on empty -> non-empty: something may have come before */
    ssize_t put = write(wake->fd, &one, sizeof one);
    (void)put;
}

void kafka_wake_release(struct kafka_wake *wake)
{
    loop_fd_release(&wake->watch);
    close(wake->fd);
    wake->fd = -1;
}

/* Without time to wait, the answer cannot be in; but what is missing tells: a broker to ask, or only its answer. */
bool kafka_is_connected(rd_kafka_t *handle)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(handle, 0, NULL, &metadata, 0);
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    return err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR_NO_ERROR;
}
