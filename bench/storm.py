#!/usr/bin/env python3
"""`make bench-storm`: a gateway is killed with -9, and all of its clients come to another one at once.

    bench/storm.py [--clients 40000] [--staying 1000] [--jitter 0] [--calm 10] [--broker kafka|embedded] [--set KEY=VALUE]...

Two gateways. The clients are at the first one; those who stay are at the second, and get 500 volatile and 500 durable messages a second
all the time. Then the first gateway dies, and its clients open their connections to the second in the same moment (--jitter:
spread over so many ms), with token and route; a 503 is obeyed. Told: when all are back, what the others noticed, what Redis had
to do and how long it let a PING wait. Exit status 1: not all came back, or one who stayed missed a message or was closed."""

import argparse
import json
import os
import select
import socket
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
from cluster_cpu import cpu_ns, tree  # noqa: E402

PROGRAMS = os.path.join(ROOT, "build", "release")
EACH = 15000  # clients of a process, and connections of a worker: 20,000 descriptors
AFTER_S = 5
TURNED_AWAY = "herald_gateway_connections_refused_total"
PEAKS = ("herald_gateway_route_registrations", "herald_gateway_route_registrations_waiting")


def address_of(daemon):
    return daemon.settings["ws.listen"].replace("0.0.0.0", "127.0.0.1")


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class Child:
    """A load program: "ready" when made, "go" starts it, one line of JSON is its report."""

    def __init__(self, program, *argv):
        self.child = subprocess.Popen([os.path.join(PROGRAMS, program), *map(str, argv)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def wait_ready(self):
        if not self.child.stdout.readline().startswith("ready"):
            raise SystemExit("bench: a load program did not start")

    def go(self):
        self.child.stdin.write("go\n")
        self.child.stdin.flush()

    def report(self, deadline):
        """None: not in time."""
        if not select.select([self.child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return None
        return json.loads(self.child.stdout.readline())

    def end(self):
        self.child.kill()
        self.child.communicate()


class Watch(threading.Thread):
    """How long Redis lets a PING wait, every 20 ms; and the highest of some gauges."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.daemon_watched, self.done = cluster.of("gateway")[1], threading.Event()
        host, port = cluster.redis.address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.waits_ms, self.peaks = [], dict.fromkeys(PEAKS, 0.0)
        self.start()

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon_watched.admin_port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def run(self):
        gauges = threading.Thread(target=self._gauges, daemon=True)
        gauges.start()
        while not self.done.wait(0.02):
            begun = time.monotonic()
            self.socket.sendall(b"PING\r\n")
            if not self.socket.recv(64).startswith(b"+PONG"):
                raise SystemExit("bench: Redis does not answer")
            self.waits_ms.append((time.monotonic() - begun) * 1e3)
        gauges.join(60)

    def _gauges(self):
        while not self.done.wait(0.1):
            for name in PEAKS:
                self.peaks[name] = max(self.peaks[name], self.metric(name))

    def end(self):
        self.done.set()
        self.join(90)
        self.socket.close()


def redis_scripts(cluster):
    """Calls of scripts so far, and the microseconds in them."""
    host, port = cluster.redis.address.split(":")
    text = subprocess.run(["redis-cli", "-h", host, "-p", port, "info", "commandstats"], capture_output=True, text=True,
                          check=True).stdout
    for line in text.splitlines():
        if line.startswith("cmdstat_evalsha:"):
            fields = dict(field.split("=") for field in line.split(":", 1)[1].split(","))
            return int(fields["calls"]), int(fields["usec"])
    return 0, 0


def cpu_s(process):
    return sum(cpu_ns(pid) for pid in tree([process.pid])) / 1e9


class Storm:
    def __init__(self, args, cluster):
        self.args, self.cluster, self.children = args, cluster, []
        self.back_max_s = 60 + args.clients // 1000
        first, second = cluster.of("gateway")
        self.comers = []
        for at in range(0, args.clients, EACH):
            self.comers.append(self._child(
                "herald-handshakes", "--gateway", address_of(first), "--then", address_of(second), "--count",
                min(EACH, args.clients - at), "--parallel", 0, "--jitter", args.jitter, "--prefix", f"s{at}-", "--source",
                f"127.0.1.{at // EACH + 1}"))
        self.stayers = self._child(
            "herald-load", "--gateway", address_of(second), "--connections", args.staying, "--prefix", "stay", "--seconds",
            args.calm + self.back_max_s, "--brokers", cluster.broker.address, "--stream", "to=user,class=volatile,rate=500,size=128",
            "--stream", "to=user,class=durable,rate=500,size=128")
        for child in self.children:
            child.wait_ready()

    def _child(self, *argv):
        self.children.append(Child(*argv))
        return self.children[-1]

    def _round(self, begin):
        deadline = time.monotonic() + self.back_max_s
        for comer in self.comers:
            comer.go()
        begin()
        reports = [comer.report(deadline) for comer in self.comers]
        if None in reports:
            raise SystemExit(f"bench: not all of the clients were in after {self.back_max_s} s")
        return reports

    def run(self):
        reports = self._round(lambda: None)
        print(f"{self.args.clients} clients connected at once to the first gateway in {max(r['seconds'] for r in reports):.1f} s, "
              f"{sum(r['refused'] for r in reports)} times told to come later")
        self.stayers.go()
        begun = time.monotonic()
        time.sleep(self.args.calm)
        calls, usec = redis_scripts(self.cluster)
        gateway, redis = self.cluster.of("gateway")[1].process, self.cluster.redis.process
        cpu = cpu_s(gateway), cpu_s(redis)
        watch = Watch(self.cluster)
        refused = watch.metric(TURNED_AWAY)
        killed = time.monotonic()
        try:
            reports = self._round(lambda: self.cluster.of("gateway")[0].process.kill())
        finally:
            watch.end()
        took = time.monotonic() - killed
        after = redis_scripts(self.cluster)
        self._tell(reports, took, watch, watch.metric(TURNED_AWAY) - refused, after[0] - calls, after[1] - usec,
                   cpu_s(gateway) - cpu[0], cpu_s(redis) - cpu[1])
        return self._tell_stayers(killed - begun, killed + took - begun)

    def _tell(self, reports, took, watch, refused, calls, usec, gateway_s, redis_s):
        clients = self.args.clients
        print(f"killed with -9: all {clients} back after {took:.1f} s ({clients / took:.0f} a second), the last of them "
              f"{max(r['slowest_ms'] for r in reports) / 1e3:.1f} s after its first attempt; {refused:.0f} answers 503, "
              f"{sum(r['failed'] for r in reports)} attempts failed")
        print(f"gateway {gateway_s:.2f} s of CPU ({gateway_s / clients * 1e6:.0f} us a client), Redis {redis_s:.2f} s "
              f"({redis_s / clients * 1e6:.0f} us a client; {redis_s / took * 100:.0f} % of a core); {calls} scripts, "
              f"{usec / max(1, calls):.1f} us each")
        waits = watch.waits_ms
        print(f"Redis answered a PING within {statistics.median(waits):.1f} ms (median), {percentile(waits, 0.99):.1f} ms (p99), "
              f"{max(waits):.1f} ms (worst); registrations under way at most {watch.peaks[PEAKS[0]]:.0f}, waiting at most "
              f"{watch.peaks[PEAKS[1]]:.0f}")

    def _tell_stayers(self, from_s, to_s):
        deadline = time.monotonic() + self.back_max_s + self.args.calm + 60
        report = self.stayers.report(deadline)
        if report is None:
            raise SystemExit("bench: those who stayed do not report")
        phases = {"before": (2, from_s), "storm": (from_s, to_s + 1), "after": (to_s + AFTER_S, to_s + AFTER_S + self.args.calm)}
        for name, (start, end) in phases.items():
            p99 = [s["p99_us"] / 1e3 for s in report["samples"] if start <= s["at_s"] <= end and s["received"] > 0]
            if p99:
                print(f"those who stayed, {name:<6} p99 of a second: median {statistics.median(p99):8.2f} ms, worst "
                      f"{max(p99):8.2f} ms")
        wrong = {name: report[name] for name in ("lost", "late", "repeated", "closed") if report[name]}
        print(f"those who stayed: {report['received']} messages, {wrong or 'none missing, none twice, none closed'}")
        return not wrong

    def end(self):
        for child in self.children:
            child.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=40000)
    parser.add_argument("--staying", type=int, default=1000)
    parser.add_argument("--jitter", type=int, default=0, metavar="MS")
    parser.add_argument("--calm", type=int, default=10, metavar="SECONDS")
    parser.add_argument("--broker", default="kafka", choices=("kafka", "embedded"))
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    args = parser.parse_args()
    workers = -(-(args.clients + args.staying) // EACH)
    options = {"log.level": "warn", "ws.idle_timeout": "10m"}  # the clients that come back answer no pings
    options.update(pair.split("=", 1) for pair in args.set)
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as folder:
        cluster = Cluster(folder, gateways=2, workers=workers, routers=1, registries=1, broker=args.broker, programs=PROGRAMS,
                          port_offset=free_port_offset(), assignments=options)
        storm = None
        try:
            cluster.up()
            storm = Storm(args, cluster)
            is_good = storm.run()
        finally:
            if storm:
                storm.end()
            cluster.down()
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
