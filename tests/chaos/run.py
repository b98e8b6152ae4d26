#!/usr/bin/env python3
"""Seeded faults against a real cluster, judged by an independent ledger. `make chaos SEED=n FAULTS=n`; see README.md."""

import argparse
import collections
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "live"), os.path.join(HERE, "..", "..", "deploy", "local")]

import faults  # noqa: E402
import judge  # noqa: E402
import network  # noqa: E402
from devices import Fleet  # noqa: E402
from kafka_io import Tail  # noqa: E402
from ledger import Ledger, Violation  # noqa: E402
from stage import Stage  # noqa: E402
from topics import OutcomeTail, LetterTail  # noqa: E402
from traffic import Traffic  # noqa: E402

RECOVERY_LIMIT_S = 90
QUIET_LIMIT_S = 90


class World:
    """Everything that a run consists of."""

    def __init__(self, folder, args):
        self.ledger = Ledger()
        self.stage = Stage(folder, self.ledger, args.seed, dict(pair.split("=", 1) for pair in args.set),
                           args.has_network)
        self.users = [f"u{i:02d}" for i in range(args.users)]
        self.fleet = Fleet(self.ledger, args.seed)
        self.rng = random.Random(f"{args.seed} checkpoints")
        self.args, self.tails, self.traffic = args, [], None

    def up(self):
        self.stage.up()
        address = self.stage.cluster.broker.address
        self.tails = [OutcomeTail(address, self.ledger), LetterTail(address, self.ledger)]
        for i, user in enumerate(self.users):
            token = self.stage.cluster.token(user)
            for device in ("d1", "d2") if i % 5 == 4 else ("d1",):
                self.fleet.add(user, device, self.stage.gateway_addresses(), token)
        self.fleet.start()
        assert self.fleet.wait_open(30), "not all clients could connect"
        self.traffic = Traffic(self.ledger, address, self.users, self.args.rate, self.args.seed)
        self.traffic.start()

    def down(self):
        if self.traffic:
            self.traffic.stop()
        self.fleet.stop()
        for tail in self.tails:
            tail.close()
        self.stage.down()

    # --- waiting ---

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
            if fault.redelivers:
                self.ledger.troubled(begin, time.time(), str(fault))
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
        judge.judge_boxes(self.ledger, absent, self.stage.boxes())
        self.fleet.each(absent, lambda d: setattr(d, "is_wanted", True))
        is_quiet = self.wait_quiet() and is_quiet
        if not is_quiet:
            self.ledger.violate("stuck", f"not at rest after {QUIET_LIMIT_S} s: {len(self.ledger.unfinished())} without fate, "
                                         f"{len(self.ledger.without_outcome())} without outcome, in flight {self.stage.in_flight()}")
        for router in self.stage.cluster.of("router"):
            judge.judge_books(self.ledger, router.name, self.stage.metrics(router) or {})
        self.check_boxes_empty()
        self.stage.check_logs()
        judge.judge_all(self.ledger)
        self.traffic.resume()

    def check_boxes_empty(self):
        deadline = time.monotonic() + 15
        while (boxes := {k: v for k, v in self.stage.boxes().items() if v}) and time.monotonic() < deadline:
            time.sleep(0.1)
        for (user, flow), ids in boxes.items():
            self.ledger.violate("box left", f"{user}/{flow} still has {ids[:8]} after everything was acknowledged", user)


class Report:
    def __init__(self, world, args):
        self.world, self.args, self.told, self.told_slow = world, args, 0, 0
        self.times, self.alone = collections.defaultdict(list), collections.defaultdict(list)
        self.of_kind = collections.Counter()
        self.begin = time.monotonic()

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def recovered(self, number, done):
        last, seconds = None, 0
        for fault, seconds, last in done:
            self.times[fault.kind].append(seconds)
            if len(done) == 1:
                self.alone[fault.kind].append(seconds)
            self.say(f"#{number:<4} {'+ ' if len(done) > 1 else ''}{fault}: flowing for everyone after {seconds:.2f} s")
            number += 1
        if last and seconds > self.args.slow:
            self.told_slow += 1
            self.dump(Violation("slow", f"{last} was the last, after {seconds:.1f} s", last), f"slow-{self.told_slow}.txt")

    def violations(self):
        """Dumps the new ones, the first of each kind. True when there were any."""
        self.of_kind.clear()
        new = self.world.ledger.violations[self.told:]
        for violation in new:
            self.told += 1
            self.of_kind[violation.kind] += 1
            if self.of_kind[violation.kind] <= 5:
                self.say(f"VIOLATION {violation.kind}: {violation.text[:600]}")
                self.dump(violation)
        return bool(new)

    def dump(self, violation, name=None):
        path = os.path.join(self.world.stage.folder, name or f"violation-{self.told}.txt")
        with open(path, "w") as out:
            out.write(f"seed {self.args.seed}\n{violation}\n\n")
            try:
                for key, ids in self.world.stage.boxes().items():
                    if violation.user in (None, key[0]):
                        out.write(f"box {key}: {ids}\n")
                if violation.user:
                    out.write(f"route: {self.world.stage.redis().hgetall('herald:route:{' + violation.user + '}')}\n")
            except Exception as error:
                out.write(f"redis: {error}\n")
            for at, text in list(self.world.ledger.events[violation.user or self.world.users[0]]):
                out.write(f"{time.strftime('%H:%M:%S', time.localtime(at))}.{int(at * 1000) % 1000:03d} {text}\n")
        self.say(f"  dump: {path}")

    def table(self, fault_count):
        counts = self.world.ledger.counts
        print(f"\nseed {self.args.seed}: {fault_count} faults in {time.monotonic() - self.begin:.0f} s, "
              f"{counts['judged']} messages judged ({counts['accepted']} accepted by Kafka)\n")
        print(f"{'fault':<22}{'times':>6}{'alone: p50':>12}{'max':>8}{'all: p50':>12}{'max':>8}   seconds until flowing for everyone")
        for kind in sorted(self.times):
            alone, every = self.alone[kind], self.times[kind]
            cells = f"{statistics.median(alone):>12.2f}{max(alone):>8.2f}" if alone else f"{'-':>12}{'-':>8}"
            print(f"{kind:<22}{len(every):>6}{cells}{statistics.median(every):>12.2f}{max(every):>8.2f}")
        violated = {k[10:]: v for k, v in counts.items() if k.startswith("violation ")}
        print(f"\nlost {violated.get('lost', 0)}, order breaks {violated.get('order', 0)}, unexplained "
              f"{sum(v for k, v in violated.items() if k not in ('lost', 'order'))}" +
              (f"  {violated}" if violated else ""))
        print("counts: " + ", ".join(f"{k} {v}" for k, v in sorted(counts.items()) if not k.startswith("violation ")))
        return 1 if violated else 0


def arguments():
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--rate", type=float, default=100, help="messages a second")
    parser.add_argument("--checkpoint", type=int, default=15, help="faults between two reckonings")
    parser.add_argument("--overlap", type=int, default=3, help="at most so many faults at a time")
    parser.add_argument("--only", default="", help="kinds of faults, as `kill worker,reconnect storm`")
    parser.add_argument("--dir", help="logs and data; kept (default: a temporary folder, kept only after a violation)")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--keep-going", action="store_true", help="after a violation, too")
    parser.add_argument("--no-network", action="store_true", help="without cuts, which need root and change a seed's schedule")
    parser.add_argument("--slow", type=float, default=10, help="a recovery that takes longer leaves a dump, too")
    parser.add_argument("--seconds", type=float, default=0, help="stop after so long")
    args = parser.parse_args()
    names = [name for name in args.only.split(",") if name]
    args.has_network = not args.no_network and network.enter()
    kinds = faults.KINDS + faults.CLOCK_KINDS + (faults.NETWORK_KINDS if args.has_network else ())
    args.kinds = [k for k in kinds if not names or kind_name(k) in names]
    return args


def kind_name(kind):
    name = kind(random.Random(1)).kind
    return next((short for short in ("cut", "clock") if name.startswith(short + " ")), name)


def run(world, args, report):
    """The number of faults played."""
    rng, played, since_checkpoint = random.Random(f"{args.seed} faults"), 0, 0
    world.up()
    report.say(f"seed {args.seed}: cluster is up in {world.stage.folder}" +
               ("" if args.has_network else "; the network is left alone"))
    time.sleep(4)  # time itself: undisturbed traffic, for the baseline
    world.checkpoint(0)
    baseline = world.ledger.counts
    if baseline["duplicates"] or baseline["outcomes repeated"]:
        world.ledger.violate("duplicate", f"without any fault: {dict(baseline)}")
    report.say(f"baseline: {baseline['judged']} messages, {baseline['duplicates']} duplicates")
    while played < args.faults and not (args.seconds and time.monotonic() - report.begin > args.seconds):
        if report.violations() and not args.keep_going:
            return played
        group = faults.draw_group(rng, args.kinds, args.overlap)[:args.faults - played]
        report.recovered(played + 1, world.play(group))
        played += len(group)
        since_checkpoint += len(group)
        if since_checkpoint >= args.checkpoint or played >= args.faults:
            since_checkpoint = 0
            report.violations()
            world.checkpoint()
            report.say(f"reckoning after {played} faults: {world.ledger.counts['judged']} messages judged so far, "
                       f"{world.ledger.counts['duplicates']} duplicates, {len(world.ledger.violations)} violations")
    if since_checkpoint:
        world.checkpoint()
    return played


def main():
    args = arguments()
    folder = args.dir or tempfile.mkdtemp(prefix=f"herald-chaos-{args.seed}-")
    os.makedirs(folder, exist_ok=True)
    world = World(folder, args)
    report = Report(world, args)
    played, status = 0, 1
    try:
        played = run(world, args, report)
        report.violations()
        status = report.table(played)
    finally:
        world.down()
        if status == 0 and not args.dir:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"kept: {folder}")
    return status


if __name__ == "__main__":
    sys.exit(main())
