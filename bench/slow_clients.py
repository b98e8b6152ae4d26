#!/usr/bin/env python3
"""`make bench-slow`: one client in ten does not read for a while; what do the others notice, and what does it cost?

    bench/slow_clients.py [--connections 10000] [--rounds 3] [--calm 20] [--stall 30] [--broker kafka|embedded]

Two load clients at one gateway: nine tenths of the connections (volatile and durable messages), whose latency is looked
at second by second, and one tenth, whose client processes are stopped for --stall seconds in each round while their messages
go on being produced: one of 20 kB and a durable one each second to each. The kernel's buffers fill, then the gateway's queues, then
messages are dropped or go to the mailbox. Both phases of a round are in the same run, over the same connections. Exit status 1: a
threshold is not met, a message to the others is missing, or nobody was too slow."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy", "local"))

from cluster import Cluster, free_port_offset  # noqa: E402
from cluster_cpu import children_of, pss_bytes, tree  # noqa: E402

PROGRAMS = os.path.join(ROOT, "build", "release")
SERVERS, CLIENTS = "0", "1"
SETTLE_S = 5  # after the stopped ones read again, they catch up: part of neither phase
BACKLOG_KIB = 128  # session.backlog_bytes, small enough to be reached within the stall
# and what is given to a connection at once (AHEAD_BYTES in gateway/session/outbox.c), session.unwritten_max, and one frame
HELD_MAX = (BACKLOG_KIB + 64 + 256 + 20) << 10
RATIO_MAX = 1.5


class Load:
    """A herald-load: connected when made."""

    def __init__(self, cluster, connections, prefix, seconds, *streams):
        gateway = cluster.of("gateway")[0].settings["ws.listen"].replace("0.0.0.0", "127.0.0.1")
        argv = ["taskset", "-c", CLIENTS, os.path.join(PROGRAMS, "herald-load"), "--gateway", gateway, "--connections",
                connections, "--prefix", prefix, "--seconds", seconds, "--brokers", cluster.broker.address]
        argv += [word for stream in streams for word in ("--stream", stream)]
        self.child = subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not self.child.stdout.readline().startswith("ready"):
            raise SystemExit("bench: herald-load did not connect")

    def go(self):
        self.child.stdin.write("go\n")
        self.child.stdin.flush()

    def signal_clients(self, signo):
        """Its connections are in its children; it goes on producing."""
        for pid in children_of(self.child.pid):
            os.kill(pid, signo)

    def report(self):
        return json.loads(self.child.stdout.readline())

    def end(self):
        self.signal_clients(signal.SIGCONT)
        self.child.kill()
        self.child.communicate()


class Watch:
    """The gateway's memory and what waits in its queues, four times a second; the most of each since reset()."""

    def __init__(self, daemon):
        self.daemon, self.stopping = daemon, threading.Event()
        self.reset()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def reset(self):
        self.memory = self.queued = 0

    def metric(self, name, label=""):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.admin_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and label in line)

    def _run(self):
        while not self.stopping.wait(0.25):
            self.memory = max(self.memory, sum(map(pss_bytes, tree([self.daemon.process.pid]))))
            self.queued = max(self.queued, self.metric("herald_gateway_memory_used_bytes", 'limit="frames"'))

    def stop(self):
        self.stopping.set()
        self.thread.join(10)


def run_rounds(args, slow, watch):
    """Says when each phase began, and what the gateway held."""
    begun, phases = time.monotonic(), []
    for _ in range(args.rounds):
        for name, seconds in (("calm", args.calm + SETTLE_S), ("stall", args.stall)):
            slow.signal_clients(signal.SIGSTOP if name == "stall" else signal.SIGCONT)
            start = time.monotonic() - begun + (SETTLE_S if name == "calm" else 0)
            slow_before = watch.metric("herald_gateway_pushes_slow_total")
            watch.reset()
            time.sleep(seconds)
            phases.append({"name": name, "from": start, "to": time.monotonic() - begun, "memory": watch.memory,
                           "queued": watch.queued,
                           "too_slow": watch.metric("herald_gateway_pushes_slow_total") - slow_before})
    slow.signal_clients(signal.SIGCONT)
    return phases


def judge(phases, report, slow_count):
    p99 = {"calm": [], "stall": []}
    for phase in phases:
        seconds = [s["p99_us"] / 1e3 for s in report["samples"] if phase["from"] + 1 <= s["at_s"] <= phase["to"]]
        p99[phase["name"]].append(statistics.median(seconds))
        print(f"{phase['name']:<6} p99 of a second: median {statistics.median(seconds):8.2f} ms, worst {max(seconds):8.2f} ms; "
              f"gateway {phase['memory'] / 1e6:7.1f} MB, of it queued {phase['queued'] / 1e6:7.1f} MB; {phase['too_slow']:.0f} too slow")
    calm, stall = statistics.median(p99["calm"]), statistics.median(p99["stall"])
    grown = max(p["memory"] for p in phases) - min(p["memory"] for p in phases if p["name"] == "calm")
    budget = slow_count * HELD_MAX
    too_slow = min(p["too_slow"] for p in phases if p["name"] == "stall")
    wrong = {name: report[name] for name in ("lost", "late", "repeated", "closed") if report[name]}
    print(f"p99 of the others {stall / calm:.2f} x (goal <= {RATIO_MAX}); memory grew by {grown / 1e6:.1f} MB (budget "
          f"{budget / 1e6:.0f} MB: {slow_count} clients with all they may hold); "
          f"others: {report['received']} messages, {wrong or 'none missing'}")
    if too_slow == 0:
        print("void: the stopped clients were never too slow for their gateway")
    return stall / calm <= RATIO_MAX and grown <= budget and too_slow > 0 and not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calm", type=int, default=20, metavar="SECONDS")
    parser.add_argument("--stall", type=int, default=30, metavar="SECONDS")
    parser.add_argument("--broker", default="kafka", choices=("kafka", "embedded"))
    args = parser.parse_args()
    slow_count = args.connections // 10
    total = args.rounds * (args.calm + SETTLE_S + args.stall)
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as folder:
        cluster = Cluster(folder, gateways=1, workers=2, routers=1, registries=1, broker=args.broker, programs=PROGRAMS,
                          port_offset=free_port_offset(),
                          assignments={"log.level": "warn", "limit.queue_age": "2m", "ws.idle_timeout": "2m", "ws.tcp_user_timeout": "2m",
                                       "session.backlog_bytes": f"{BACKLOG_KIB}KiB"})
        loads = []
        try:
            cluster.up()
            for pid in tree([d.process.pid for d in cluster.daemons] + [cluster.redis.process.pid]):
                subprocess.run(["taskset", "-a", "-p", "-c", SERVERS, str(pid)], stdout=subprocess.DEVNULL, check=True)
            slow = Load(cluster, slow_count, "slow", total + 60, f"to=user,class=volatile,rate={slow_count},size=20000",
                        f"to=user,class=durable,rate={slow_count},size=128")
            loads.append(slow)
            others = Load(cluster, args.connections - slow_count, "fast", total, "to=user,class=volatile,rate=2000,size=128",
                          "to=user,class=durable,rate=2000,size=128")
            loads.append(others)
            watch = Watch(cluster.of("gateway")[0])
            slow.go()
            others.go()
            phases = run_rounds(args, slow, watch)
            report = others.report()
            watch.stop()
            is_good = judge(phases, report, slow_count)
        finally:
            for load in loads:
                load.end()
            cluster.down()
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
