"""What goes wrong: one small class each. A fault draws all that it needs from the seeded generator when it is made, so the
schedule of a seed is the same in every run; `targets` names what it has its hands on, and no two overlapping faults share
one. Recovery is counted from undo(), for a fault without duration from inject()."""

import os
import signal
import time

from process import is_pid_alive

ROUTERS, GATEWAYS, REGISTRIES = ("router-1", "router-2"), ("gateway-1", "gateway-2"), ("registry-1", "registry-2")
EVERYTHING = ROUTERS + GATEWAYS + REGISTRIES + ("redis", "kafka")


class Fault:
    weight, duration = 1, 0.0
    unclaims = False  # ids of messages may not be claimed meanwhile, or be forgotten

    @property
    def silences(self):
        """May a gateway wait in vain for a router that publishes an outcome?"""
        return any(name.split("-")[0] in ("router", "gateway", "kafka", "network") for name in self.targets)
    targets = ()

    def inject(self, world):
        raise NotImplementedError

    def undo(self, world):
        pass

    def __str__(self):
        return f"{self.kind} {', '.join(self.targets)}" + (f" for {self.duration:.1f} s" if self.duration else "")


def pause_length(rng):
    """Short, around the leases and time-outs, well beyond them."""
    return rng.choice((rng.uniform(0.05, 1), rng.uniform(1, 4), rng.uniform(4, 12)))


class KillWorker(Fault):
    kind, weight = "kill worker", 10

    def __init__(self, rng):
        self.targets, self.which = (rng.choice(GATEWAYS),), rng.randrange(2)

    def inject(self, world):
        workers = world.stage.workers(self.targets[0])
        if workers:
            os.kill(workers[self.which % len(workers)], signal.SIGKILL)


class Kill(Fault):
    """kill -9; half of them are down for a while before they are started again."""

    def __init__(self, rng, names):
        self.targets = (rng.choice(names),)
        self.kind = "kill " + self.targets[0].split("-")[0]
        self.duration = rng.choice((0.0, rng.uniform(0.5, 5)))

    def inject(self, world):
        world.stage.hold(self.targets[0])
        world.stage.processes()[self.targets[0]].kill()

    def undo(self, world):
        world.stage.start_again(self.targets[0])


class KillGateway(Kill):
    weight = 6

    def __init__(self, rng):
        super().__init__(rng, GATEWAYS)


class KillRouter(Kill):
    weight = 8

    def __init__(self, rng):
        super().__init__(rng, ROUTERS)


class KillRegistry(Kill):
    weight = 3

    def __init__(self, rng):
        super().__init__(rng, REGISTRIES)


class KillKafka(Kill):
    weight = 2

    def __init__(self, rng):
        super().__init__(rng, ("kafka",))


class Stop(Fault):
    """SIGSTOP, SIGCONT later: a long garbage collection, a frozen virtual machine."""

    def __init__(self, rng, names):
        self.targets = (rng.choice(names),)
        self.kind = "stop " + self.targets[0].split("-")[0]
        self.unclaims = self.kind == "stop router"
        self.duration, self.pids = pause_length(rng), []

    def inject(self, world):
        world.stage.hold(self.targets[0])
        self.pids = [world.stage.processes()[self.targets[0]].pid] + world.stage.workers(self.targets[0])
        self._signal(signal.SIGSTOP)

    def _signal(self, signo):
        for pid in self.pids:
            if is_pid_alive(pid):
                os.kill(pid, signo)

    def undo(self, world):
        self._signal(signal.SIGCONT)
        world.stage.release(self.targets[0])


class StopGateway(Stop):
    weight = 4

    def __init__(self, rng):
        super().__init__(rng, GATEWAYS)


class StopWorker(Stop):
    weight = 5

    def __init__(self, rng):
        super().__init__(rng, GATEWAYS)
        self.kind, self.which = "stop worker", rng.randrange(2)

    def inject(self, world):
        workers = world.stage.workers(self.targets[0])
        self.pids = [workers[self.which % len(workers)]] if workers else []
        self._signal(signal.SIGSTOP)


class StopRouter(Stop):
    weight = 6

    def __init__(self, rng):
        super().__init__(rng, ROUTERS)


class StopRegistry(Stop):
    weight = 2

    def __init__(self, rng):
        super().__init__(rng, REGISTRIES)


class StopKafka(Stop):
    weight = 2

    def __init__(self, rng):
        super().__init__(rng, ("kafka",))


class Restart(Fault):
    """SIGTERM, and started again when it has ended; it has to end in time and with status 0."""

    def __init__(self, rng, names):
        self.targets = (rng.choice(names),)
        self.kind = "restart " + self.targets[0].split("-")[0]

    def inject(self, world):
        restart(world, self.targets[0])


def restart(world, name):
    process = world.stage.processes()[name]
    world.stage.hold(name)
    begin = time.monotonic()
    status = process.stop(20)
    if name.split("-")[0] in ("gateway", "router", "registry") and status != 0:
        world.ledger.violate("stopping", f"{name} ended with status {status} after {time.monotonic() - begin:.1f} s of SIGTERM")
    world.stage.start_again(name)


class RestartGateway(Restart):
    weight = 4

    def __init__(self, rng):
        super().__init__(rng, GATEWAYS)


class RestartRouter(Restart):
    weight = 5

    def __init__(self, rng):
        super().__init__(rng, ROUTERS)


class RestartRegistry(Restart):
    weight = 2

    def __init__(self, rng):
        super().__init__(rng, REGISTRIES)


class RestartKafka(Restart):
    weight = 1

    def __init__(self, rng):
        super().__init__(rng, ("kafka",))


class Rolling(Fault):
    """Every gateway and router, one after the other, each when the one before is ready."""

    kind, weight, targets = "rolling restart", 2, GATEWAYS + ROUTERS

    def __init__(self, rng):
        self.order = rng.sample(self.targets, len(self.targets))

    def inject(self, world):
        for name in self.order:
            restart(world, name)
            world.stage.wait_ready(30)

    def __str__(self):
        return "rolling restart of " + ", ".join(self.order)


class ClockJump(Fault):
    """The wall clock of one process is wrong for a while, and then right again."""

    weight, unclaims = 5, True

    def __init__(self, rng):
        self.targets = (rng.choice(ROUTERS + GATEWAYS + REGISTRIES + ("redis",)),)
        self.kind = "clock of " + self.targets[0].split("-")[0]
        self.seconds = rng.choice((-1, 1)) * rng.choice((rng.uniform(0.2, 2), rng.uniform(2, 20), rng.uniform(20, 400)))
        self.duration = rng.uniform(0.5, 8)

    def inject(self, world):
        world.ledger.skew_ms = max(world.ledger.skew_ms, abs(self.seconds) * 1000)
        world.stage.clocks.set(self.targets[0], self.seconds)

    def undo(self, world):
        world.stage.clocks.set(self.targets[0], 0)

    def __str__(self):
        return f"{self.kind.replace(self.targets[0].split('-')[0], self.targets[0])} wrong by {self.seconds:.1f} s for {self.duration:.1f} s"


class Cut(Fault):
    """Packets between two processes are dropped, in both directions or in one; both live on and nobody is told."""

    PAIRS = tuple((a, b) for a in ROUTERS + GATEWAYS + REGISTRIES for b in ("redis",)) + \
        tuple((a, "kafka") for a in ROUTERS) + tuple((a, b) for a in ROUTERS for b in GATEWAYS) * 2
    weight = 16

    def __init__(self, rng):
        self.targets, self.duration = rng.choice(self.PAIRS), pause_length(rng)
        self.direction = rng.choice(("", "", "ORIGINAL", "REPLY"))
        self.kind = f"cut {self.targets[0].split('-')[0]}-{self.targets[1].split('-')[0]}"
        self.unclaims = "redis" in self.targets

    def inject(self, world):
        self.rules = world.stage.network.cut(*self.targets, self.direction)

    def undo(self, world):
        world.stage.network.heal(self.rules)


class Lossy(Fault):
    """Packets are lost everywhere: retransmissions make everything slow and uneven."""

    kind, weight, unclaims, targets = "lossy network", 4, True, ("network",)

    def __init__(self, rng):
        self.portion, self.duration = rng.uniform(0.01, 0.25), rng.uniform(1, 6)

    def inject(self, world):
        self.rules = world.stage.network.lose(self.portion)

    def undo(self, world):
        world.stage.network.heal(self.rules)


class ClientFault(Fault):
    """Some of the users behave differently for a while."""

    share = (0.1, 0.5)

    def __init__(self, rng):
        self.portion, self.picks = rng.uniform(*self.share), rng.random()
        self.duration = rng.uniform(1, 8)
        self.targets = ("clients",)

    def users(self, world):
        count = max(1, round(self.portion * len(world.users)))
        first = int(self.picks * len(world.users))
        return {(world.users * 2)[first + i] for i in range(count)}

    def set(self, world, name, value):
        def do(device):
            setattr(device, name, value)
            device.note(f"{name} = {value}")
            device.want_events()
            device.catch_up()
        world.fleet.each(self.users(world), do)


class Slow(ClientFault):
    kind, weight = "slow clients", 4

    def inject(self, world):
        world.traffic.padded |= self.users(world)
        self.set(world, "is_reading", False)

    def undo(self, world):
        self.set(world, "is_reading", True)
        world.traffic.padded.clear()


class Mute(ClientFault):
    kind, weight = "clients do not ack", 5

    def inject(self, world):
        self.set(world, "is_acking", False)

    def undo(self, world):
        self.set(world, "is_acking", True)


class Away(ClientFault):
    kind, weight = "clients away", 6

    def inject(self, world):
        self.set(world, "is_wanted", False)

    def undo(self, world):
        self.set(world, "is_wanted", True)


class Flap(ClientFault):
    """Connections that last a moment, again and again."""

    kind, weight = "clients flap", 6

    def inject(self, world):
        self.set(world, "is_flapping", True)

    def undo(self, world):
        self.set(world, "is_flapping", False)


class Storm(ClientFault):
    """All connections end at once, and come back."""

    kind, weight, share = "reconnect storm", 6, (1.0, 1.0)

    def __init__(self, rng):
        super().__init__(rng)
        self.duration, self.is_reset = 0.0, rng.random() < 0.5

    def inject(self, world):
        world.fleet.each(self.users(world), lambda device: device.drop("storm", self.is_reset))


class Move(ClientFault):
    """Some users open a second connection of the same device elsewhere: the first ends some time later, or by Herald."""

    kind, weight = "clients move", 5

    def __init__(self, rng):
        super().__init__(rng)
        self.duration = 0.0

    def inject(self, world):
        world.fleet.each(self.users(world), lambda device: device.move())


KINDS = (KillWorker, KillGateway, KillRouter, KillRegistry, KillKafka, StopWorker, StopGateway, StopRouter, StopRegistry,
         StopKafka, RestartGateway, RestartRouter, RestartRegistry, RestartKafka, Rolling, Slow, Mute, Away, Flap, Storm, Move)
NETWORK_KINDS = (Cut, Lossy)
CLOCK_KINDS = (ClockJump,)
