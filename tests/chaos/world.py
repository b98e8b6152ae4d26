"""The run as a whole: cluster, clients, producer, tails; how a group of faults is played; the reckoning."""

import random
import threading
import time

import redis

import judge
from commits import CommitTail
from devices import Fleet
from ledger import Ledger
from stage import Stage
from topics import LetterTail, OutcomeTail
from traffic import Traffic

RECOVERY_LIMIT_S = 90
QUIET_LIMIT_S = 60


class World:
    """Everything that a run consists of."""

    def __init__(self, folder, args):
        self.ledger = Ledger()
        self.stage = Stage(folder, self.ledger, args.seed, dict(pair.split("=", 1) for pair in args.set),
                           args.has_network, has_three_brokers=args.brokers == 3)
        self.devices = {f"u{i:02d}": ("d1", "d2") if i % 5 == 4 else ("d1",) for i in range(args.users)}
        self.users = list(self.devices)
        self.fleet = Fleet(self.ledger, args.seed)
        self.rng = random.Random(f"{args.seed} checkpoints")
        self.args, self.tails, self.traffic = args, [], None

    def up(self):
        self.stage.up()
        address = self.stage.cluster.broker.address
        self.commits = CommitTail(address, self.ledger.commits)
        self.tails = [OutcomeTail(address, self.ledger), LetterTail(address, self.ledger), self.commits]
        for user, devices in self.devices.items():
            token = self.stage.cluster.token(user)
            for device in devices:
                self.fleet.add(user, device, self.stage.gateway_addresses(), token)
        self.fleet.start()
        assert self.fleet.wait_open(30), "not all clients could connect"
        assert self.wait_for(lambda: all(self.stage.store.knows_devices(*pair) for pair in self.devices.items())), \
            "Redis does not know all devices"
        assert self.wait_for(self.stage.is_shared_out), "not every router has partitions"
        threading.Thread(target=self._watch_devices, daemon=True).start()
        self.traffic = Traffic(self.ledger, address, self.devices, self.args.rate, self.args.seed)
        self.traffic.start()

    def down(self):
        if self.traffic:
            self.traffic.stop()
        self.fleet.stop()
        for tail in self.tails:
            tail.close()
        self.stage.down()

    def _watch_devices(self):
        """Which devices Redis knows again after it was emptied."""
        while not self.stage.stopping.wait(0.25):
            for user in list(self.ledger.unknown):
                try:
                    if self.stage.store.knows_devices(user, self.devices[user]):
                        self.ledger.knows_devices(user)
                except redis.RedisError:
                    break

    # --- waiting ---

    pause = staticmethod(time.sleep)

    @staticmethod
    def wait_for(condition, errors=(), timeout=30):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if condition():
                    return True
            except errors:
                pass
            time.sleep(0.05)
        return False

    def wait_quiet(self, absent=()):
        """Until every message has its fate, its outcome and nothing is in flight."""
        deadline = time.monotonic() + QUIET_LIMIT_S
        while time.monotonic() < deadline:
            left = [m for m in self.ledger.unfinished() if m.user not in absent]
            if not left and not self.ledger.without_outcome() and not self.ledger.without_letter() and \
                    self.stage.in_flight() == 0:
                return True
            time.sleep(0.1)
        return False

    # --- one group of faults ---

    def play(self, group):
        """Injects and undoes them, each in its own time; [(fault, recovery in seconds, the last user)]."""
        marks, ended, begin = {}, set(), time.time()

        def perform(delay, fault):
            try:
                time.sleep(delay)
                marks[fault] = time.monotonic()
                self.tell(f"  {fault}")
                fault.inject(self)
                if fault.duration:
                    time.sleep(fault.duration)
                    marks[fault] = time.monotonic()
                fault.undo(self)
            except Exception as error:
                self.ledger.violate("harness", f"{fault}: {type(error).__name__} {error}")
            ended.add(fault)

        threads = [threading.Thread(target=perform, args=pair) for pair in group]
        for thread in threads:
            thread.start()
        done = self.watch(group, marks, ended)
        self.check_ready(group)
        for _, fault in group:
            self.ledger.troubled(begin, time.time(), fault)
        return done

    def watch(self, group, marks, ended):
        """Waits until every user has seen something produced after the end of each fault."""
        waiting, done, last, limit = [fault for _, fault in group], [], None, None
        while waiting and not (limit and time.monotonic() > limit):
            time.sleep(0.02)
            for fault in [f for f in waiting if f in ended]:
                left = self.ledger.flowed_since(marks[fault], self.users)
                last = left[0] if left else last
                if not left:
                    waiting.remove(fault)
                    done.append((fault, time.monotonic() - marks[fault], last))
            if limit is None and len(ended) == len(group):
                limit = time.monotonic() + RECOVERY_LIMIT_S
        for fault in waiting:
            left = self.ledger.flowed_since(marks[fault], self.users)
            self.ledger.violate("stuck", f"{RECOVERY_LIMIT_S} s after {fault}: nothing new for {', '.join(left)}", last)
        return done + [(fault, time.monotonic() - marks[fault], last) for fault in waiting]

    def check_ready(self, group):
        unready = self.stage.wait_ready(RECOVERY_LIMIT_S)
        if unready:
            self.ledger.violate("stuck", f"not ready after {', '.join(str(f) for _, f in group)}: {', '.join(unready)}")

    def tell(self, text):
        with self.ledger.lock:
            for user in self.users:
                self.ledger.note(user, f"FAULT{text}")

    # --- the reckoning ---

    def checkpoint(self, away_count=3):
        """Stops the traffic with some users away, looks at what waits for them, brings them back, and judges."""
        absent = set(self.rng.sample(self.users, away_count))
        self.fleet.each(absent, lambda d: setattr(d, "is_wanted", False))
        time.sleep(1.5)  # time itself: what is sent meanwhile waits for them
        if self.traffic.pause():
            self.ledger.violate("harness", "Kafka does not take what was produced")
        is_quiet = self.wait_quiet(absent)
        judge.judge_boxes(self.ledger, absent, self.stage.store.boxes())
        self.fleet.each(absent, lambda d: setattr(d, "is_wanted", True))
        is_quiet = self.wait_quiet() and is_quiet
        if not is_quiet:
            left = {"without fate": self.ledger.unfinished(), "without outcome": self.ledger.without_outcome(),
                    "without letter": self.ledger.without_letter()}
            self.ledger.violate("stuck", f"not at rest after {QUIET_LIMIT_S} s, in flight {self.stage.in_flight()}; " + ", ".join(
                f"{len(found)} {what}: {[str(m) for m in found[:3]]}" for what, found in left.items() if found))
        for router in self.stage.cluster.of("router"):
            judge.judge_books(self.ledger, router.name, self.stage.metrics(router) or {})
        self.check_boxes_empty()
        self.stage.check_logs()
        if not self.commits.catch_up():
            self.ledger.violate("harness", "the log of commits cannot be read to its end")
        began = min((r.produced_at for m in self.ledger.open.values() for r in m.records), default=time.time())
        judge.judge_all(self.ledger)
        self.ledger.commits.forget(began - 60)
        self.traffic.resume()

    def check_boxes_empty(self):
        deadline = time.monotonic() + 15
        while (boxes := {k: v for k, v in self.stage.store.boxes().items() if v}) and time.monotonic() < deadline:
            time.sleep(0.1)
        for (user, flow), ids in boxes.items():
            self.ledger.violate("box left", f"{user}/{flow} still has {ids[:8]} after everything was acknowledged", user)
