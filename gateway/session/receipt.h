/*
 * What stands behind a conn's `receipt`: for a volatile push the link's receipt, a pointer; for a durable one its seq,
 * as an odd value, so that it needs no memory and cannot dangle.
 */
#ifndef HERALD_GATEWAY_SESSION_RECEIPT_H
#define HERALD_GATEWAY_SESSION_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>

static inline void *receipt_of_seq(uint64_t seq)
{
    return (void *)(uintptr_t)(seq << 1 | 1);
}

static inline bool receipt_is_seq(const void *receipt)
{
    return ((uintptr_t)receipt & 1) != 0;
}

static inline uint64_t receipt_seq(const void *receipt)
{
    return (uint64_t)(uintptr_t)receipt >> 1;
}

#endif
