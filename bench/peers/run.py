#!/usr/bin/env python3
"""`make bench-peers`: Herald and others side by side, with the same client, messages and machine.

    bench/peers/run.py [--rounds N] [--only NAME,...] [--docs] [--json FILE]

Each round measures the raw floor and then every system, one after the other, each started anew, alone: user memory of
an idle connection, CPU of idle ones, messages to one user, a broadcast. CPU is user + system of all its processes, from
/proc, divided by what the client received; a run in which anything was lost, repeated or reordered is void."""

import argparse
import contextlib
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import systems
from backends import Kafka
from cluster import free_port_offset
from cluster_cpu import cpu_seconds, rate_at_rest, rate_over, tree
from deployed_kafka import as_deployed
from process import StartError

SERVERS, CLIENT = 0, 1
CONNECTIONS, FEW = 10000, 1000
BROADCASTS_S = 3  # slow enough that nobody has two to send at once, which is cheaper
BEHIND_S = 1.0  # what was to be sent in so many seconds took so much longer
SETTLE_S = 2.0  # after connecting, before memory is read
IDLE_S = 26  # a whole interval of pings
TRIES = 2  # of each part of a round: on a machine that others use, a run may be void for no fault of the system
BEGIN, END = "<!-- peers: made by `make bench-peers PEERS=--docs` -->", "<!-- /peers -->"
ROWS = {  # key: (title, unit, digits)
    "memory": ("user memory of an idle connection", "B", 0),
    "idle": ("CPU of an idle connection, ping every 25 s", "us/s", 2),
    "one": ("a message to one user", "us", 1),
    "one_full": ("the same at the higher rate", "us", 1),
    "all": ("a broadcast to 10,000, for each of them", "us", 1),
    "p50": ("latency of a message to one user, p50", "ms", 2),
    "p99": ("the same, p99", "ms", 1),
}


class Void(Exception):
    """What was measured counts for nothing; the text says why."""


@contextlib.contextmanager
def on_core(core):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Client:
    """A herald-peer-load: commands and their answers."""

    def __init__(self, *argv):
        program = os.path.join(systems.PROGRAMS, "herald-peer-load")
        with on_core(CLIENT):
            self.child = subprocess.Popen([program, *map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          text=True)

    def say(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline()
        if not answer:
            raise Void(f"the client ended at {' '.join(map(str, words))}")
        return json.loads(answer)

    def open(self, count):
        if self.say("open", count)["open"] != count:
            raise Void(f"not {count} connections")

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def floor_us(rounds=30):
    port = free_port()
    with on_core(SERVERS):
        server = subprocess.Popen([os.path.join(systems.PROGRAMS, "herald-floor"), "send", str(port), str(CONNECTIONS), str(rounds)],
                                  stdout=subprocess.PIPE, text=True)
    if server.stdout.readline() != "listening\n":
        raise SystemExit(f"peers: herald-floor cannot listen on port {port}")
    client = Client("--raw", "--address", f"127.0.0.1:{port}", "--connections", CONNECTIONS)
    client.say("open", CONNECTIONS)
    text, _ = server.communicate()
    client.end()
    return json.loads(text)["cpu_us"]


class Round:
    """One system, once."""

    def __init__(self, system, args):
        self.system, self.args, self.found, self.behind = system, args, {}, set()

    def cpu(self):
        return sum(cpu_seconds(pid) for pid in tree(self.system.pids()))

    def memory(self):
        time.sleep(SETTLE_S)
        return self.system.memory()

    def client(self, is_all):
        argv = self.system.client(is_all)
        if self.system.topic:
            argv += ["--brokers", self.system.brokers, "--topic", self.system.topic]
        return Client("--connections", CONNECTIONS, *argv)

    def deliver(self, client, whom, rate, seconds, row=None):
        """CPU for each message, and the client's report. A system that falls behind has several to send at once, which is
        cheaper: that is noted at the row."""
        before = self.cpu()
        report = client.say("run", whom, rate, seconds)
        used = self.cpu() - before
        if report["lost"] or report["late"] or report["repeated"] or report["closed"]:
            raise Void(f"{whom} at {rate}/s: {report}")
        print(f"      {whom} at {rate}/s: {report}", flush=True)
        if row:
            self.found[row] = used * 1e6 / report["received"]
            if report["seconds"] > seconds + BEHIND_S:
                self.behind.add(row)
        return report

    def to_one(self, has_idle):
        client = self.client(False)
        try:
            client.open(FEW)
            few = self.memory()
            client.open(CONNECTIONS)
            self.found["memory"] = (self.memory() - few) / (CONNECTIONS - FEW)
            if has_idle:
                idle = rate_over(self.cpu, IDLE_S)
            client.say("warm", "one")
            self.deliver(client, "one", self.args.rate, self.args.warm_seconds)
            report = self.deliver(client, "one", self.args.rate, self.args.seconds, "one")
            self.found.update(p50=report["p50_us"] / 1e3, p99=report["p99_us"] / 1e3)
            if self.args.full_rate:
                self.deliver(client, "one", self.args.full_rate, self.args.seconds, "one_full")
        finally:
            client.end()
        if has_idle:  # what it takes alone, now that it has warmed up
            self.found["idle"] = (idle - rate_at_rest(self.cpu)) * 1e6 / CONNECTIONS

    def to_all(self):
        client = self.client(True)
        try:
            client.open(CONNECTIONS)
            client.say("warm", "all")
            self.deliver(client, "all", BROADCASTS_S, self.args.warm_seconds)
            self.deliver(client, "all", BROADCASTS_S, self.args.seconds, "all")
        finally:
            client.end()

    def attempt(self, part):
        """In a system that nobody has used yet."""
        self.system.port = free_port()
        with on_core(SERVERS):
            self.system.start()
        try:
            part()
        finally:
            self.system.stop()

    def run(self, has_idle):
        for part in (lambda: self.to_one(has_idle), self.to_all):
            for number in range(TRIES):
                before = dict(self.found)
                try:
                    self.attempt(part)
                    break
                except (Void, StartError, subprocess.SubprocessError) as void:
                    self.found = before
                    print(f"      void, {'again' if number + 1 < TRIES else 'left out'}: {void}", flush=True)
        return self


class Bench:
    def __init__(self, args):
        self.args = args
        self.folder = tempfile.TemporaryDirectory(prefix="herald-peers-")
        self.kafka = Kafka(self.folder.name, 9092 + free_port_offset(), 4)
        as_deployed(self.kafka)
        self.found = {}  # (system's name, row): values
        self.behind = set()  # of these, where the system did not keep up in one of the rounds
        self.systems = []
        for kind in systems.ALL:
            name = kind.__name__.lower()
            if args.only and name not in args.only.split(","):
                continue
            system = kind(os.path.join(self.folder.name, name), self.kafka.address)
            if system.is_built():
                self.systems.append(system)
            else:
                print(f"peers: {system.name} is not built, see build/peers/build.log.{name}")

    def make_topics(self):
        for system in self.systems:
            if system.topic:
                subprocess.run(["kcat", "-q", "-P", "-b", self.kafka.address, "-t", system.topic, "-k", "nobody"],
                               input='{"to":{"user":"nobody"},"class":"volatile","content":0}\n', text=True, check=True)

    def add(self, name, row, value):
        self.found.setdefault((name, row), []).append(value)

    def round(self, number):
        floor = floor_us()
        self.add("raw floor", "all", floor)
        self.add("raw floor", "one", floor)
        print(f"round {number + 1}: raw floor {floor:.2f} us", flush=True)
        for i in range(len(self.systems)):  # another one first each time
            system = self.systems[(i + number) % len(self.systems)]
            print(f"   {system.name}", flush=True)
            done = Round(system, self.args).run(number < self.args.idle_rounds)
            for row, value in done.found.items():
                self.add(system.name, row, value)
            self.behind |= {(system.name, row) for row in done.behind}
            print("      " + ", ".join(f"{row} {value:.2f}" for row, value in done.found.items()), flush=True)

    def run(self):
        self.kafka.start()
        try:
            self.make_topics()
            for number in range(self.args.rounds):
                self.round(number)
        finally:
            self.kafka.process.stop()

    # --- what it says ---

    def cell(self, name, row):
        values = self.found.get((name, row))
        if not values:
            return "-"
        digits = ROWS[row][2]
        median, least, most = (f"{x:,.{digits}f}" for x in (statistics.median(values), min(values), max(values)))
        rounds = f", {len(values)} rounds" if len(values) != self.args.rounds else ""
        return f"**{median}** ({least} .. {most}){rounds}" + (", behind" if (name, row) in self.behind else "")

    def ratio(self, name, row):
        values, floor = self.found.get((name, row)), self.found.get(("raw floor", row))
        return f" {statistics.median(values) / statistics.median(floor):.1f} x" if values and floor else ""

    def markdown(self):
        names = ["raw floor"] + [system.name for system in self.systems]
        headings = [name if name == "raw floor" or system.is_comparable else f"{name} *"
                    for name, system in zip(names, [None] + self.systems)]
        lines = ["| | unit | " + " | ".join(headings) + " |", "|---" * (len(names) + 2) + "|"]
        for row, (title, unit, _) in ROWS.items():
            if any((name, row) in self.found for name in names):
                cells = [self.cell(name, row) + (self.ratio(name, row) if name != "raw floor" else "") for name in names]
                lines.append(f"| {title} | {unit} | " + " | ".join(cells) + " |")
        lines += ["", f"Medians of {self.args.rounds} rounds (lowest .. highest), and the ratio to the floor; \"behind\": in "
                  f"some round it took more than {BEHIND_S:g} s longer than it was given. Machine: "
                  f"{machine()}. Kafka 4.2 (one broker, 4 partitions). {self.args.rate:,} messages a second to one user each, "
                  f"of 10,000"
                  + (f"; in the second such row {self.args.full_rate:,}" if self.args.full_rate else "") + ".", ""]
        lines += [f"- **{system.name}**: {system.version()}; {system.settings}." for system in self.systems]
        return "\n".join(lines) + "\n"


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = re.search(r"model name\s*: (.*)", cpuinfo.read())[1]
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, {time.strftime('%d %B %Y').lstrip('0')}"


def write_docs(text):
    """Between the marks."""
    path = os.path.join(systems.ROOT, "docs", "benchmarks.md")
    with open(path) as page:
        before, _, rest = page.read().partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"peers: {path} has no place for the table ({BEGIN} ... {END})")
    with open(path, "w") as page:
        page.write(f"{before}{BEGIN}\n{text}{END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle-rounds", type=int, default=2, help="idle CPU takes half a minute: in the first N rounds")
    parser.add_argument("--rate", type=int, default=20000, help="messages a second to single users")
    parser.add_argument("--full-rate", type=int, default=0, help="a second such run")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--warm-seconds", type=int, default=2)
    parser.add_argument("--only", default="", help="herald,nchan,node,netty,centrifugo")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    began = time.monotonic()
    bench = Bench(args)
    bench.run()
    print(f"\n{bench.markdown()}\ntook {time.monotonic() - began:.0f} s")
    if args.docs:
        write_docs(bench.markdown())
    if args.json:
        with open(args.json, "w") as out:
            json.dump({f"{name}: {row}": values for (name, row), values in bench.found.items()}, out, indent=2)


if __name__ == "__main__":
    sys.exit(main())
