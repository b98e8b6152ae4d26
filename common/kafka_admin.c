#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kafka_conf.h"
#include "log.h"

enum { ADMIN_MAGIC = 0x4b41444d, REQUEST_MAGIC = 0x4b415251, REQUEST_TIMEOUT_MS = 5000, TRIES_MAX = 3 };

struct kafka_admin {
    unsigned magic;
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    struct kafka_wake wake;
    struct request *first; /* under way */
};

struct request {
    unsigned magic;
    struct request *next;
    char *topic;
    int32_t partitions;
    int tries; /* while brokers answered */
    kafka_admin_fn *fn;
    void *arg;
};

static struct request *request_add(struct kafka_admin *admin, const char *topic, kafka_admin_fn *fn, void *arg)
{
    struct request *request = xcalloc(1, sizeof *request);
    *request = (struct request){.magic = REQUEST_MAGIC, .next = admin->first, .fn = fn, .arg = arg};
    request->topic = xstrdup(topic);
    admin->first = request;
    return request;
}

static void request_free(struct kafka_admin *admin, struct request *request)
{
    for (struct request **at = &admin->first; *at; at = &(*at)->next) {
        if (*at == request) {
            *at = request->next;
            break;
        }
    }
    request->magic = 0;
    free(request->topic);
    free(request);
}

static bool is_timeout(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__TIMED_OUT || err == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE ||
           err == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT || err == RD_KAFKA_RESP_ERR__TRANSPORT ||
           err == RD_KAFKA_RESP_ERR__DESTROY;
}

/* The error of the one topic asked for, or that of the request as a whole. */
static rd_kafka_resp_err_t topic_error(rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t err = rd_kafka_event_error(event);
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR || !result)
        return err;
    size_t count = 0;
    const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(result, &count);
    return count > 0 ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void log_creation(const char *topic, rd_kafka_resp_err_t err)
{
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
        log_info("kafka topic created", F_STR("topic", topic));
    else if (err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE || err == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION ||
             is_timeout(err))
        log_info("kafka does not create topics on request; it may do so at first use", F_STR("topic", topic),
                 F_STR("why", rd_kafka_err2str(err)));
    else if (err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        log_error("kafka topic could not be created: create it by hand (kafka-topics.sh --create --topic NAME "
                  "--partitions N) or allow this client to; kafka.partitions 0 keeps it from trying",
                  F_STR("topic", topic), F_STR("why", rd_kafka_err2str(err)));
}

static void send_creation(struct kafka_admin *admin, struct request *request)
{
    char why[256];
    rd_kafka_NewTopic_t *asked = rd_kafka_NewTopic_new(request->topic, request->partitions, -1, why, sizeof why);
    CHECK(asked); /* looked at in kafka_admin_create_topic() */
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    CHECK(!rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_TIMEOUT_MS, why, sizeof why));
    rd_kafka_AdminOptions_set_opaque(options, request);
    /* wait on the broker until the topic can be used */
    CHECK(!rd_kafka_AdminOptions_set_operation_timeout(options, REQUEST_TIMEOUT_MS - 1000, why, sizeof why));
    rd_kafka_CreateTopics(admin->handle, &asked, 1, options, admin->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(asked);
}

/* No answer: before any broker was heard of it is asked for again without end, then a few times. */
static bool is_worth_retry(struct kafka_admin *admin, struct request *request, rd_kafka_resp_err_t err)
{
    if (!is_timeout(err) || err == RD_KAFKA_RESP_ERR__DESTROY)
        return false;
    char *cluster = rd_kafka_clusterid(admin->handle, 0);
    bool is_heard = cluster != NULL;
    if (cluster)
        rd_kafka_mem_free(admin->handle, cluster);
    if (is_heard)
        request->tries++;
    else
        log_limited(LOG_WARN, "kafka topic not looked after yet, no broker answers", F_STR("topic", request->topic));
    return request->tries < TRIES_MAX;
}

static void on_answer(struct kafka_admin *admin, struct request *request, rd_kafka_resp_err_t err)
{
    if (is_worth_retry(admin, request, err)) {
        send_creation(admin, request);
        return;
    }
    log_creation(request->topic, err);
    kafka_admin_fn *fn = request->fn;
    void *fn_arg = request->arg;
    request_free(admin, request);
    if (fn)
        fn(fn_arg, !is_timeout(err));
}

static void on_ready(void *arg)
{
    struct kafka_admin *admin = arg;
    MAGIC_CHECK(admin, ADMIN_MAGIC);
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(admin->queue, 0))) {
        struct request *request = rd_kafka_event_opaque(event);
        MAGIC_CHECK(request, REQUEST_MAGIC);
        rd_kafka_resp_err_t err = topic_error(event);
        rd_kafka_event_destroy(event);
        on_answer(admin, request, err);
    }
}

struct kafka_admin *kafka_admin_new(struct loop *loop, rd_kafka_t *handle)
{
    struct kafka_admin *admin = xcalloc(1, sizeof *admin);
    admin->magic = ADMIN_MAGIC;
    admin->handle = handle;
    admin->queue = rd_kafka_queue_new(handle);
    kafka_wake_init(&admin->wake, loop, on_ready, admin);
    kafka_wake_attach(&admin->wake, admin->queue);
    return admin;
}

void kafka_admin_free(struct kafka_admin **admin_p)
{
    struct kafka_admin *admin = *admin_p;
    if (!admin)
        return;
    *admin_p = NULL;
    rd_kafka_queue_io_event_enable(admin->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(admin->queue);
    kafka_wake_release(&admin->wake);
    while (admin->first)
        request_free(admin, admin->first);
    admin->magic = 0;
    free(admin);
}

void kafka_admin_create_topic(struct kafka_admin *admin, const char *topic, int32_t partitions, kafka_admin_fn *fn,
                              void *arg)
{
    char why[256];
    rd_kafka_NewTopic_t *asked = rd_kafka_NewTopic_new(topic, partitions, -1, why, sizeof why);
    if (!asked) {
        log_error("kafka topic name cannot be used", F_STR("topic", topic), F_STR("why", why));
        return;
    }
    rd_kafka_NewTopic_destroy(asked);
    struct request *request = request_add(admin, topic, fn, arg);
    request->partitions = partitions;
    send_creation(admin, request);
}
