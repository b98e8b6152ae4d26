"""What a run says while it goes on, what it leaves behind of a violation, and its last table."""

import collections
import os
import statistics
import time

from ledger import Violation


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
                for key, ids in self.world.stage.store.boxes().items():
                    if violation.user in (None, key[0]):
                        out.write(f"box {key}: {ids}\n")
                if violation.user:
                    out.write(f"route: {self.world.stage.store.client().hgetall('herald:route:{' + violation.user + '}')}\n")
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
