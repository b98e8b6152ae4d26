#include "kafka_mock.h"

#include <stdlib.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "check.h"
#include "log.h"

enum { API_PRODUCE = 0 };

struct kafka_mock {
    rd_kafka_t *instance; /* the cluster needs one for its book-keeping; it connects to nobody */
    rd_kafka_mock_cluster_t *cluster;
};

struct kafka_mock *kafka_mock_new(int brokers)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", NULL, 0); /* it has no bootstrap.servers, and would warn of it */
    rd_kafka_t *instance = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!instance) {
        rd_kafka_conf_destroy(conf);
        log_error("kafka mock cannot start", F_STR("why", why));
        return NULL;
    }
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(instance, brokers);
    if (!cluster) {
        rd_kafka_destroy(instance);
        log_error("kafka mock cannot start");
        return NULL;
    }
    struct kafka_mock *mock = xcalloc(1, sizeof *mock);
    mock->instance = instance;
    mock->cluster = cluster;
    return mock;
}

void kafka_mock_free(struct kafka_mock **mock_p)
{
    struct kafka_mock *mock = *mock_p;
    if (!mock)
        return;
    *mock_p = NULL;
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->instance);
    free(mock);
}

const char *kafka_mock_address(const struct kafka_mock *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

enum err kafka_mock_create_topic(struct kafka_mock *mock, const char *topic, int partitions)
{
    rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(mock->cluster, topic, partitions, 1);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ? ERR_OK : ERR_INVALID;
}

void kafka_mock_refuse_produce(struct kafka_mock *mock, int count)
{
    for (int i = 0; i < count; i++)
        rd_kafka_mock_push_request_errors(mock->cluster, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
}
