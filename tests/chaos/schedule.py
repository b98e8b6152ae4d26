"""Which faults there are, and which come next."""

import random

import brokers
import faults
import redis_faults

FAMILIES = ("cut", "clock", "disk full")


def kinds(has_network, has_disk, broker_count=1):
    found = faults.KINDS + redis_faults.KINDS + faults.CLOCK_KINDS + (faults.NETWORK_KINDS if has_network else ()) + \
        (redis_faults.DISK_KINDS if has_disk else ())
    return tuple(brokers.INSTEAD_OF.get(kind, kind) for kind in found) if broker_count > 1 else found


def name_of(kind):
    """As --only wants it."""
    name = kind(random.Random(1)).kind
    return next((family for family in FAMILIES if name.startswith(family)), name)


def draw_group(rng, choice, overlap, alone):
    """One fault, or up to `overlap` at a time, each with its delay. No two have their hands on the same thing."""
    count = 1 if overlap == 1 or rng.random() < alone else rng.randint(2, overlap)
    group, taken = [], set()
    for _ in range(4 * count):
        fault = rng.choices(choice, [kind.weight for kind in choice])[0](rng)
        if not taken & set(fault.targets) and len(group) < count:
            taken |= set(fault.targets)
            group.append((rng.uniform(0, 2) if group else 0.0, fault))
    return group
