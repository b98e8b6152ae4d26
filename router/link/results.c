#include "router/link/results.h"

#include "common/check.h"
#include "common/link.h"
#include "common/log.h"
#include "common/metric.h"
#include "router/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { RESULTS_MAGIC = 0x72736c74, UNPACKED_FACTOR = 16 /* an envelope of small results grows when unpacked */ };

struct results {
    uint32_t magic;
    struct bus_pull *pull;
    struct link_arena *arena;
    const char *router;
    uint64_t generation;
    struct lanes *lanes;
    struct results_events events;
    void *arg;
};

static void on_envelope(void *arg, const void *bytes, size_t len)
{
    struct results *results = arg;
    const Herald__V1__Envelope *envelope;
    MAGIC_CHECK(results, RESULTS_MAGIC);
    if (!results->lanes)
        return;
    enum err err = link_unpack(results->arena, bytes, len, results->router, results->generation, &envelope);
    if (err) {
        metric_add(METRIC_ENVELOPES_REFUSED, 1);
        log_limited(LOG_WARN, "envelope refused", F_ERR(err), F_UINT("len", len));
        return;
    }
    uint32_t number = lanes_number(results->lanes, envelope->from, strlen(envelope->from));
    uint64_t generation = envelope->from_generation;
    lanes_heard(results->lanes, number, generation, envelope->hello);
    for (size_t i = 0; i < envelope->n_results; i++)
        results->events.result(results->arg, number, envelope->results[i]);
    for (size_t i = 0; i < envelope->n_upstreams; i++)
        results->events.upstream(results->arg, number, generation, envelope->upstreams[i]);
    for (size_t i = 0; i < envelope->n_canaries; i++)
        results->events.canary(results->arg, envelope->canaries[i]);
    for (size_t i = 0; i < envelope->n_box_fates; i++)
        results->events.box_fate(results->arg, number, generation, envelope->box_fates[i]);
}

enum err results_new(struct bus *bus, const char *listen, uint32_t hwm, uint32_t envelope_max,
                     struct results **results_r)
{
    struct results *results = xcalloc(1, sizeof(*results));
    results->magic = RESULTS_MAGIC;
    enum err err = bus_pull_bind(bus, listen, (int)hwm, envelope_max, on_envelope, results, &results->pull);
    if (err) {
        log_error("cannot bind the inbox", F_STR("listen", listen), F_ERR(err));
        free(results);
        return err;
    }
    results->arena = link_arena_new((size_t)envelope_max * UNPACKED_FACTOR);
    *results_r = results;
    return ERR_OK;
}

uint16_t results_port(const struct results *results)
{
    return bus_pull_port(results->pull);
}

void results_start(struct results *results, const char *router, uint64_t generation, struct lanes *lanes,
                   const struct results_events *events, void *arg)
{
    results->router = router;
    results->generation = generation;
    results->lanes = lanes;
    results->events = *events;
    results->arg = arg;
}

void results_free(struct results **results)
{
    if (!*results)
        return;
    bus_pull_free(&(*results)->pull);
    link_arena_free(&(*results)->arena);
    (*results)->magic = 0;
    free(*results);
    *results = NULL;
}
