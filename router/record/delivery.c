#include "router/record/delivery.h"

static char *text(struct push_str str)
{
    return (char *)(uintptr_t)str.at; /* protobuf-c has no const; packing only reads */
}

int64_t delivery_expires_at(const struct record *record)
{
    return record->push.ttl_ms > 0 ? record->kafka.timestamp_ms + record->push.ttl_ms : 0;
}

bool delivery_is_expired(const struct record *record, uint64_t wall_ms)
{
    return record->push.ttl_ms > 0 && (int64_t)wall_ms >= delivery_expires_at(record);
}

void delivery_fill(const struct record *record, Herald__V1__Delivery *delivery)
{
    const struct push *push = &record->push;
    herald__v1__delivery__init(delivery);
    delivery->id = text(record->id);
    delivery->kind = push->to == PUSH_TO_ALL ? HERALD__V1__KIND__KIND_BROADCAST : HERALD__V1__KIND__KIND_PUSH;
    delivery->class_ = push->is_durable ? HERALD__V1__CLASS__CLASS_DURABLE : HERALD__V1__CLASS__CLASS_VOLATILE;
    delivery->priority = push->priority;
    delivery->content.data = (uint8_t *)text(push->content);
    delivery->content.len = push->content.len;
    delivery->timestamp_ms = record->kafka.timestamp_ms;
    delivery->from = text(push->from);
    delivery->expires_at_ms = delivery_expires_at(record);
    delivery->collapse = text(push->collapse);
    delivery->once = push->is_once;
    delivery->source = text(record->source);
    delivery->life = record->life;
    delivery->generation = record->generation;
    delivery->outcome = push->is_outcome_wanted;
}
