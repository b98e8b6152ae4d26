"""The cluster under test, what the runner may do to it, and what it can look at from outside."""

import collections
import http.client
import os
import re
import random
import signal
import threading
import time

import backends
from brokers import Brokers
from cluster import Cluster, _is_free, PORTS
from clocks import Clocks
from network import Network
from process import StartError
from store import Store

SETTINGS = {  # short waits, so that a fault's consequences are seen within seconds; outcomes of everything
    "router.ack_wait": "2s", "router.result_wait": "3s", "session.behind": "2s", "kafka.outcomes": "all",
    "box.count": "50000", "kafka.properties": "session.timeout.ms=6000"}

JVM = [*backends.SMALL_JVM, "-XX:TieredStopAtLevel=1"]  # restarts are many: it has to start fast, not to run fast
KAFKA_PROPERTIES = """\
offsets.topic.num.partitions=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=300
controller.quorum.election.backoff.max.ms=300
controller.quorum.fetch.timeout.ms=600
"""
RESTART_PAUSE_S = 0.3  # between two starts of what ended by itself


def port_offset(seed):
    """Ports below the ephemeral range, elsewhere than other runs on this machine."""
    rng = random.Random(f"{seed} {os.getpid()}")
    for _ in range(1000):
        offset = rng.randrange(1000, 20000)
        if all(_is_free(port + offset + i) for port in PORTS.values() for i in range(6)):
            return offset
    raise StartError("no free ports")


# a worker that a fault killed ended by signal 9
BAD_LINE = re.compile(r'AddressSanitizer|LeakSanitizer|runtime error:|CHECK|check failed|worker ended.* signal=(4|6|7|8|11)\b')


class PreparedCluster(Cluster):
    """Each process with what faults need of it: a clock of its own, a group id of its own to cut the network by."""

    prepare = None

    def _broker(self, where):
        return Brokers(self.folder, self.ports["kafka"], self.partitions) if where == "three" else super()._broker(where)

    def add(self, kind):
        daemon, known = super().add(kind)
        self.prepare(daemon.name, daemon.process)
        return daemon, known


class Stage:
    def __init__(self, folder, ledger, seed, settings=None, has_network=False, appendfsync="always",
                 has_three_brokers=False):
        self.ledger, self.folder = ledger, folder
        self.cluster = PreparedCluster(folder, gateways=2, workers=2, routers=2, registries=2,
                                       broker="three" if has_three_brokers else "kafka",
                                       assignments=dict(SETTINGS, **(settings or {})), port_offset=port_offset(seed))
        argv = self.cluster.redis.process.argv
        argv[argv.index("--appendfsync") + 1] = appendfsync
        self.store = Store(self)
        for node in self.brokers():
            node.use_jvm(JVM)
            node.more_properties += KAFKA_PROPERTIES
        self.network = Network(self) if has_network else None
        self.clocks = Clocks(self.cluster.folder)
        self.cluster.prepare = self._prepare
        for process in self.cluster.redis.processes + self.cluster.broker.processes:
            self._prepare(process.name, process)
        self.held, self.ordered, self.ended, self.lock, self.stopping = set(), set(), set(), threading.Lock(), threading.Event()
        self.exits, self.started, self.errands = [], {}, collections.deque()
        self.supervisor = threading.Thread(target=self._supervise, daemon=True)

    def _prepare(self, name, process):
        if not name.startswith("kafka"):  # the broker's clock is its machine's; only ours and Redis' are tried
            self.clocks.give(name, process)
        if self.network:
            self.network.give_group(name, process)

    def up(self):
        self.cluster.up()
        self.supervisor.start()

    def down(self):
        self.stopping.set()
        self.supervisor.join(10)
        for part in self.processes().values():
            part.signal(signal.SIGCONT)
        self.cluster.down()

    # --- processes ---

    def brokers(self):
        return getattr(self.cluster.broker, "nodes", [self.cluster.broker])

    def processes(self):
        return {process.name: process for process in self.cluster.processes()}

    def gateway_addresses(self):
        return [("127.0.0.1", int(d.settings["ws.listen"].rpartition(":")[2])) for d in self.cluster.of("gateway")]

    def workers(self, gateway):
        pid = self.processes()[gateway].pid
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as children:
                return [int(child) for child in children.read().split()]
        except OSError:
            return []

    def hold(self, name):
        """The supervisor leaves it alone: a fault has it."""
        with self.lock:
            self.held.add(name)

    def release(self, name):
        with self.lock:
            self.held.discard(name)

    def start_again(self, name):
        """By the supervisor's thread: a process ends with the thread that started it (PR_SET_PDEATHSIG)."""
        with self.lock:
            self.ordered.add(name)
            self.held.discard(name)
        while name in self.ordered:
            time.sleep(0.01)

    def by_supervisor(self, do):
        """Starts a process as the supervisor would."""
        done = threading.Event()
        self.errands.append((do, done))
        done.wait(10)

    def _supervise(self):
        """What systemd would do: restart what ended. That something ended by itself is remembered; by a signal, judged."""
        while not self.stopping.wait(0.02):
            while self.errands:
                do, done = self.errands.popleft()
                do()
                done.set()
            with self.lock:
                for name, process in self.processes().items():
                    if name not in self.held and not process.is_alive():
                        self._start(name, process)

    def _start(self, name, process):
        now = time.monotonic()
        if name not in self.ordered:
            if process.child.returncode is not None and process not in self.ended:
                self.ended.add(process)
                self._ended(name, process)
            if now - self.started.get(name, 0) < RESTART_PAUSE_S:
                return
        self.started[name] = now
        self.ended.discard(process)
        process.start()
        self.ordered.discard(name)

    def _ended(self, name, process):
        status = process.child.returncode
        self.exits.append((time.time(), name, status))
        if status < 0:
            self.ledger.violate("crash", f"{name} died of signal {-status}; end of its log:\n{process.log_tail(12)}")
        else:
            self.ledger.counts[f"exits by itself of {name.split(chr(45))[0]}"] += 1

    def is_ready(self):
        return all(d.process.is_alive() and d.is_ready() for d in self.cluster.daemons)

    def wait_ready(self, timeout):
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if time.monotonic() > deadline:
                return [d.name for d in self.cluster.daemons if not (d.process.is_alive() and d.is_ready())]
            time.sleep(0.05)
        return []

    # --- looking ---

    def is_shared_out(self):
        """Has each router partitions, as it stays while nothing happens? Records in hand while they move are read again."""
        return all((self.metrics(router) or {}).get("herald_router_partitions") for router in self.cluster.of("router"))

    def metrics(self, daemon):
        """{series: value}, or None when nobody answers."""
        try:
            conn = http.client.HTTPConnection("127.0.0.1", daemon.admin_port, timeout=2)
            conn.request("GET", "/metrics")
            lines = conn.getresponse().read().decode().splitlines()
        except (OSError, http.client.HTTPException):
            return None
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line and line[0] != "#"}

    def in_flight(self):
        """Over all routers; -1 when one does not answer."""
        total = 0
        for router in self.cluster.of("router"):
            metrics = self.metrics(router)
            if metrics is None:
                return -1
            total += metrics["herald_router_targets_in_flight"] + metrics["herald_router_records_pending"]
        return total

    def check_logs(self):
        for daemon in self.cluster.daemons:
            try:
                with open(daemon.process.log, errors="replace") as log:
                    bad = [line for line in log if BAD_LINE.search(line)]
            except OSError:
                continue
            if bad and daemon.name not in getattr(self, "told", set()):
                self.told = getattr(self, "told", set()) | {daemon.name}
                self.ledger.violate("crash", f"{daemon.name}: {''.join(bad[:5])}")
