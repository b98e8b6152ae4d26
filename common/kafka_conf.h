/*
 * What the kafka_*.c files share: making a librdkafka handle from options, its logs, its wake-ups, its errors.
 * Private to them: only they see librdkafka's types.
 */
#ifndef HERALD_COMMON_KAFKA_CONF_H
#define HERALD_COMMON_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>

#include "kafka.h"

struct kafka_property {
    const char *name, *value;
};

/* Applied in this order: `preset` (an operator may change it), the options' properties, `fixed` (correctness rests on
 * it). Both lists end with a NULL name. NULL, and logged: a property is unknown or malformed. */
rd_kafka_conf_t *kafka_conf_new(const struct kafka_options *options, const struct kafka_property *preset,
                                const struct kafka_property *fixed);
/* Takes the configuration. NULL, and logged: librdkafka refused. Log lines come through the handle's main queue, so
 * on the thread that polls. */
rd_kafka_t *kafka_handle_new(rd_kafka_type_t type, rd_kafka_conf_t *conf);
/* Destroys a handle whose consumer was closed or whose messages were purged. librdkafka 2.0.2 was seen to wait for its
 * own threads for ever here: then it is left behind after 10 s, with a warning, so that a daemon always ends. */
void kafka_handle_destroy(rd_kafka_t *handle);
enum err kafka_err(rd_kafka_resp_err_t err);

/* A descriptor that becomes readable when a queue goes from empty to non-empty. Embedded. */
struct kafka_wake {
    int fd;
    struct loop_fd watch;
    loop_fn *fn;
    void *arg;
};
void kafka_wake_init(struct kafka_wake *wake, struct loop *loop, loop_fn *fn, void *arg);
void kafka_wake_attach(struct kafka_wake *wake, rd_kafka_queue_t *queue);
void kafka_wake_release(struct kafka_wake *wake);

/* Is a broker connected now? Does not block. */
bool kafka_is_connected(rd_kafka_t *handle);

/* Creating topics. (Requests to a group's coordinator are not made: those of librdkafka 2.0.2 abort the process when
 * the coordinator stays away.) */
struct kafka_admin;
/* is_answered: a broker answered, whatever it said; else the time was up. */
typedef void kafka_admin_fn(void *arg, bool is_answered);
struct kafka_admin *kafka_admin_new(struct loop *loop, rd_kafka_t *handle);
/* Before the handle is destroyed. Answers that are not in yet are not reported. */
void kafka_admin_free(struct kafka_admin **admin);
/* Asks until a broker has answered; what cannot be done is logged. fn may be NULL. */
void kafka_admin_create_topic(struct kafka_admin *admin, const char *topic, int32_t partitions, kafka_admin_fn *fn,
                              void *arg);

#endif
