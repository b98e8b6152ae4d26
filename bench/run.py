#!/usr/bin/env python3
"""`make bench`: the figures of this machine beside their goals and the raw floor of the same run.

    bench/run.py [--broker kafka|embedded] [--rounds N] [--only NAME]

CPU time is user + system of all Herald processes and Redis (not Kafka, not the load client), divided by messages received
and checked. A run with a lost, repeated or reordered message is void."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy", "local"))

from cluster import Cluster, free_port_offset  # noqa: E402
from cluster_cpu import cpu_seconds, pss_bytes, tree  # noqa: E402

PROGRAMS = os.path.join(ROOT, "build", "release")
SERVERS, CLIENT = "0", "1"
LINGER_MS = 5  # librdkafka's own default; where latency is measured, nothing lingers


def pinned(cpu, argv):
    return ["taskset", "-c", cpu, *map(str, argv)]


class Load:
    """A herald-load process: connected when made, runs at go(), its JSON report from finish(), gone after end()."""

    def __init__(self, *argv):
        self.child = subprocess.Popen(pinned(CLIENT, [os.path.join(PROGRAMS, "herald-load"), *argv]),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.child.stdout.readline()
        if not line.startswith("ready"):
            raise SystemExit(f"bench: herald-load {argv} did not connect")

    def go(self):
        self.child.stdin.write("go\n")
        self.child.stdin.flush()
        return self

    def finish(self):
        """The report; its connections stay. SystemExit when the run is void."""
        report = json.loads(self.child.stdout.readline())
        if report["lost"] or report["late"] or report["repeated"] or report["closed"]:
            raise SystemExit(f"bench: void run: {report}")
        return report

    def end(self):
        self.child.kill()
        self.child.communicate()


def floor_us(connections=10000, rounds=30, port=18999):
    server = subprocess.Popen(pinned(SERVERS, [os.path.join(PROGRAMS, "herald-floor"), port, connections, rounds]),
                              stdout=subprocess.PIPE, text=True)
    if server.stdout.readline() != "listening\n":
        raise SystemExit(f"bench: herald-floor cannot listen on port {port}")
    load = Load("--raw", "--gateway", f"127.0.0.1:{port}", "--connections", connections)
    text, _ = server.communicate()
    load.end()
    return json.loads(text)["cpu_us_per_message"]


class Bench:
    def __init__(self, args):
        self.args, self.rows = args, []
        self.folder = tempfile.TemporaryDirectory(prefix="herald-bench-")
        self.cluster = Cluster(self.folder.name, gateways=1, workers=2, routers=1, registries=1, broker=args.broker,
                               port_offset=free_port_offset(), assignments={"log.level": "warn"})
        self.cluster.up()
        self.herald = [d.process.pid for d in self.cluster.daemons] + [self.cluster.redis.process.pid]
        for pid in tree(self.herald):
            subprocess.run(["taskset", "-a", "-p", "-c", SERVERS, str(pid)], stdout=subprocess.DEVNULL, check=True)
        self.gateway = self.cluster.of("gateway")[0].settings["ws.listen"].replace("0.0.0.0", "127.0.0.1")

    def cpu(self):
        return sum(cpu_seconds(pid) for pid in tree(self.herald))

    def load(self, connections, *argv):
        return Load("--gateway", self.gateway, "--connections", connections, "--brokers", self.cluster.broker.address,
                    *argv)

    def row(self, name, values, unit, goal, floor=None):
        median = statistics.median(values)
        ratio = f"{median / floor:.2f} x floor" if floor else ""
        self.rows.append({"name": name, "median": median, "min": min(values), "max": max(values), "unit": unit,
                          "goal": goal, "floor": floor})
        print(f"{name:<44} {median:>9.2f} {unit:<6} ({min(values):.2f} .. {max(values):.2f})  {ratio:<13} goal {goal}",
              flush=True)

    def delivery(self, name, rate, goal, kind="to=user,class=volatile", connections=10000, seconds=6):
        """CPU for each message, with latency as a by-product."""
        values, floors = [], []
        for _ in range(self.args.rounds):
            floors.append(floor_us())
            load = self.load(connections, "--stream", f"{kind},rate={rate}", "--warm-up", 1, "--seconds", seconds, "--linger",
                             LINGER_MS)
            before, wrote = self.cpu(), self.redis_writes()
            report = load.go().finish()
            values.append((self.cpu() - before) * 1e6 / report["received"])
            load.end()
            print(f"    {report['received']} messages, p50 {report['latency']['p50_us'] / 1e3:.2f} ms, "
                  f"p99 {report['latency']['p99_us'] / 1e3:.2f} ms, "
                  f"mailbox writes {self.redis_writes() - wrote}", flush=True)
        self.row(name, values, "us", goal, statistics.median(floors))

    def redis_writes(self):
        host, port = self.cluster.redis.address.split(":")
        text = subprocess.run(["redis-cli", "-h", host, "-p", port, "info", "commandstats"], capture_output=True,
                              text=True, check=True).stdout
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in text.splitlines()
                   if line.startswith("cmdstat_xadd"))

    def latency(self, rate, goal50, goal99):
        p50, p99 = [], []
        for _ in range(self.args.rounds):
            load = self.load(10000, "--stream", f"to=user,class=durable,rate={rate}", "--warm-up", 1, "--seconds", 6)
            report = load.go().finish()
            load.end()
            p50.append(report["latency"]["p50_us"] / 1e3)
            p99.append(report["latency"]["p99_us"] / 1e3)
        self.row(f"latency p50 at {rate}/s, 10,000 users", p50, "ms", goal50)
        self.row(f"latency p99 at {rate}/s, 10,000 users", p99, "ms", goal99)

    def memory(self):
        """Slope of PSS over connections, all gateway processes together."""
        pid = self.cluster.of("gateway")[0].process.pid
        points = []
        for connections in (1000, 10000, 15000):
            load = self.load(connections, "--prefix", f"m{connections}-")
            points.append((connections, sum(map(pss_bytes, tree([pid])))))
            load.end()
            self.wait_empty()
        (n1, b1), _, (n3, b3) = points
        self.row("user memory per idle connection", [(b3 - b1) / (n3 - n1)], "B", "<= 512")

    def wait_empty(self):
        import time
        import urllib.request
        deadline = time.monotonic() + 30
        admin = f"http://127.0.0.1:{self.cluster.of('gateway')[0].admin_port}/metrics"
        while time.monotonic() < deadline:
            text = urllib.request.urlopen(admin).read().decode()
            left = sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                       if line.startswith("herald_gateway_sessions") and not line.startswith("herald_gateway_sessions_"))
            if left == 0:
                return
            time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", default="kafka", choices=("kafka", "embedded"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    bench = Bench(args)
    work = {
        "memory": bench.memory,
        "volatile": lambda: bench.delivery("Kafka -> one user, volatile, 20,000/s", 20000, "<= 1.6 x floor"),
        "volatile_full": lambda: bench.delivery("the same at 60,000/s (a full core)", 60000, "<= 1.6 x floor"),
        "durable": lambda: bench.delivery("Kafka -> one user, durable, 15,000/s", 15000, "<= 2.5 x floor",
                                          "to=user,class=durable"),
        "durable_full": lambda: bench.delivery("the same at 60,000/s (a full core)", 60000, "<= 2.5 x floor",
                                               "to=user,class=durable"),
        "broadcast": lambda: bench.delivery("broadcast to 10,000", 5, "<= 1.15 x floor", "to=all,class=volatile"),
        "latency": lambda: bench.latency(2000, "<= 1.3", "<= 5"),
        "latency20k": lambda: bench.latency(20000, "<= 2", "<= 10"),
    }
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            model = next(line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name"))
        print(f"{os.cpu_count()} x {model}; servers on core {SERVERS}, client on core {CLIENT}; {args.rounds} rounds, medians")
        print(f"raw floor: {floor_us():.2f} us for each send() of 128 bytes")
        for name, run in work.items():
            if args.only in ("", name):
                run()
    finally:
        bench.cluster.down()
    if args.json:
        with open(args.json, "w") as out:
            json.dump(bench.rows, out, indent=2)


if __name__ == "__main__":
    main()
