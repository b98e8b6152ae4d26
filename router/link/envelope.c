#include "router/link/envelope.h"

#include "common/clock.h"
#include "common/metric.h"
#include "router/record/delivery.h"
#include "router/metrics.h"

static char *text(struct push_str str)
{
    return (char *)(uintptr_t)str.at; /* protobuf-c has no const; packing only reads */
}

void envelope_init(struct envelope *envelope)
{
    for (uint32_t i = 0; i < ENVELOPE_TARGETS_MAX; i++)
        herald__v1__target__init(&envelope->targets[i]);
    envelope->record = NULL;
    envelope->target_count = 0;
}

void envelope_open(struct envelope *envelope, const char *from, uint64_t from_generation, const char *to,
                   uint64_t to_generation)
{
    link_out_init(&envelope->out, from, from_generation, to, to_generation);
}

void envelope_close(struct envelope *envelope)
{
    envelope->record = NULL;
    envelope->target_count = 0;
    link_out_release(&envelope->out);
}

bool envelope_continues(const struct envelope *envelope, const struct record *record)
{
    return envelope->record == record && envelope->target_count < ENVELOPE_TARGETS_MAX;
}

void envelope_add(struct envelope *envelope, const struct record *record, const struct lane_target *to,
                  const struct slot *slot)
{
    if (!envelope_continues(envelope, record))
        envelope_pack(envelope);
    envelope->record = record;
    Herald__V1__Target *target = &envelope->targets[envelope->target_count++];
    target->user = text(to->user);
    target->device = text(to->device);
    target->connection = to->connection;
    target->run = to->position.run;
    target->run_index = to->position.index;
    target->slot = slot->index;
    target->slot_generation = slot->generation;
}

void envelope_pack(struct envelope *envelope)
{
    Herald__V1__Target *targets[ENVELOPE_TARGETS_MAX];
    Herald__V1__Delivery delivery;
    if (!envelope->record)
        return;
    for (uint32_t i = 0; i < envelope->target_count; i++)
        targets[i] = &envelope->targets[i];
    delivery_fill(envelope->record, &delivery);
    delivery.n_targets = envelope->target_count;
    delivery.targets = targets;
    link_put_delivery(&envelope->out, &delivery);
    envelope->record = NULL;
    envelope->target_count = 0;
}

void envelope_put_hello(struct envelope *envelope, const char *endpoint, uint64_t now_us)
{
    Herald__V1__Hello hello = HERALD__V1__HELLO__INIT;
    hello.endpoint = (char *)(uintptr_t)endpoint;
    hello.sent_us = now_us;
    hello.answers_fates = true;
    envelope_pack(envelope);
    link_put_hello(&envelope->out, &hello);
}

void envelope_put_poke(struct envelope *envelope, struct push_str user, struct push_str device)
{
    Herald__V1__Poke poke = HERALD__V1__POKE__INIT;
    poke.user = text(user);
    poke.device = text(device);
    envelope_pack(envelope);
    link_put_poke(&envelope->out, &poke);
    metric_add(METRIC_POKES, 1);
}

void envelope_put_withdrawal(struct envelope *envelope, struct push_str user, struct push_str id)
{
    Herald__V1__Withdrawal withdrawal = HERALD__V1__WITHDRAWAL__INIT;
    withdrawal.user = text(user);
    withdrawal.id = text(id);
    envelope_pack(envelope);
    link_put_withdrawal(&envelope->out, &withdrawal);
    metric_add(METRIC_WITHDRAWALS, 1);
}

void envelope_put_upstream_result(struct envelope *envelope, uint64_t request, uint32_t code)
{
    Herald__V1__UpstreamResult result = HERALD__V1__UPSTREAM_RESULT__INIT;
    result.request = request;
    result.code = code;
    envelope_pack(envelope);
    link_put_upstream_result(&envelope->out, &result);
}

size_t envelope_len(const struct envelope *envelope)
{
    return envelope->out.packed.len;
}

char *envelope_take(struct envelope *envelope, size_t *len_r)
{
    envelope_pack(envelope);
    return link_take(&envelope->out, len_r);
}

void envelope_put_box_fate_result(struct envelope *envelope, uint64_t fate, bool is_taken)
{
    Herald__V1__BoxFateResult result = HERALD__V1__BOX_FATE_RESULT__INIT;
    result.number = fate;
    result.taken = is_taken;
    envelope_pack(envelope);
    link_put_box_fate_result(&envelope->out, &result);
}
