"""What goes wrong with Redis. All of it may leave ids of messages unclaimed, or forgotten."""

import redis

from faults import Fault, Kill, Restart, Stop, pause_length


class KillRedis(Kill):
    weight, unclaims = 4, True

    def __init__(self, rng):
        super().__init__(rng, ("redis",))


class StopRedis(Stop):
    weight = 4

    def __init__(self, rng):
        super().__init__(rng, ("redis",))
        self.unclaims = True


class RestartRedis(Restart):
    weight, unclaims = 3, True

    def __init__(self, rng):
        super().__init__(rng, ("redis",))


class Flush(Fault):
    """FLUSHALL. What mailboxes held at that moment is gone, and the ledger knows it; nothing else may be."""

    kind, weight, unclaims, targets = "flush redis", 4, True, ("redis",)

    def __init__(self, rng):
        pass

    def inject(self, world):
        world.ledger.forgets_devices(world.users)
        world.ledger.wiped(world.stage.store.flush())


class RefusedWrites(Fault):
    """Redis lives, answers, and takes no write: out of memory, or not safe to."""

    kind, weight, unclaims, targets = "redis refuses writes", 3, True, ("redis",)

    def __init__(self, rng):
        self.option, self.value, self.normal = rng.choice((("maxmemory", 1, 0), ("min-replicas-to-write", 1, 0)))
        self.duration = pause_length(rng)

    def inject(self, world):
        world.stage.store.client().config_set(self.option, self.value)

    def undo(self, world):
        world.stage.store.client().config_set(self.option, self.normal)


class DiskFull(Fault):
    """The disk of the AOF is full: with `always` Redis ends at its next write, and after each start; with `everysec` it lives
    and refuses writes."""

    weight, unclaims, targets = 4, True, ("redis",)

    def __init__(self, rng):
        self.policy, self.duration = rng.choice(("always", "everysec")), pause_length(rng)
        self.kind = f"disk full ({self.policy})"

    def inject(self, world):
        store = world.stage.store
        if self.policy != "always":
            store.client().config_set("appendfsync", self.policy)
        store.fill()

    def undo(self, world):
        store = world.stage.store
        store.empty()
        if self.policy != "always":
            world.wait_for(lambda: store.client().info("persistence")["aof_last_write_status"] == "ok", redis.RedisError)
            store.client().config_set("appendfsync", "always")


class Failover(Fault):
    """The master dies, its replica takes over address and port. Replication is asynchronous: what it had not brought is lost,
    and the ledger knows it, from the dead one's own AOF."""

    kind, weight, unclaims, targets = "failover of redis", 4, True, ("redis",)

    def __init__(self, rng):
        self.apart, self.duration, self.replica = rng.uniform(0.2, 2), rng.choice((0.1, rng.uniform(0.1, 4))), None

    def inject(self, world):
        world.stage.hold("redis")
        self.replica = world.stage.store.add_replica()
        if not self.replica:
            world.ledger.counts["failovers without a replica in time"] += 1
            return
        world.pause(self.apart)
        world.stage.processes()["redis"].kill()

    def undo(self, world):
        if self.replica:
            world.ledger.forgets_devices(world.users)
            lost = world.stage.store.promote(self.replica)
            world.ledger.wiped(lost, "failover loses")
            world.ledger.counts["lost by replication"] += sum(map(len, lost.values()))
        world.stage.release("redis")


KINDS = (KillRedis, StopRedis, RestartRedis, Flush, RefusedWrites, Failover)
DISK_KINDS = (DiskFull,)
