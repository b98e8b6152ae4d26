#include "bench/order.h"

enum { WINDOW = 64 };

static enum order_verdict take_old(struct order *order, uint32_t number)
{
    uint32_t back = order->next - 1 - number;
    uint64_t bit = back < WINDOW ? (uint64_t)1 << back : 0;
    if (!(order->missing & bit))
        return ORDER_REPEATED;
    order->missing &= ~bit;
    return ORDER_LATE;
}

enum order_verdict order_take(struct order *order, uint32_t number, uint32_t *missed_r)
{
    *missed_r = 0;
    if (number < order->next)
        return take_old(order, number);
    uint32_t missed = number - order->next, shift = missed + 1;
    order->missing = shift < WINDOW ? order->missing << shift : 0;
    if (missed > 0) /* those right behind this one; bit 0 is this one */
        order->missing |= (missed < WINDOW - 1 ? ((uint64_t)1 << missed) - 1 : UINT64_MAX >> 1) << 1;
    order->next = number + 1;
    *missed_r = missed;
    return missed > 0 ? ORDER_GAP : ORDER_RIGHT;
}
