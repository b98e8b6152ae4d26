#!/usr/bin/env python3
"""What a new connection costs: WebSocket handshake, JWT, session, route in Redis, auth_response.

    bench/handshakes.py [--rounds N] [--count N] [--algorithms HS256,ES256,EdDSA,RS256] [--json FILE]

CPU time of one gateway worker, its master and Redis, divided by connections that were told 200; beside it the raw floor of
the same round (accept, recv, send by a bare epoll program). Servers on core 0, clients on core 1. About 5 s a round and
algorithm."""

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
from cluster_cpu import cpu_ns, tree  # noqa: E402

PROGRAMS = os.path.join(ROOT, "build", "release")
SERVERS, CLIENT = "0", "1"


def pinned(cpu, argv):
    return ["taskset", "-c", cpu, *map(str, argv)]


class Clients:
    """A herald-handshakes process: tokens are signed when made; round() connects all."""

    def __init__(self, *argv):
        self.child = subprocess.Popen(pinned(CLIENT, [os.path.join(PROGRAMS, "herald-handshakes"), *argv]),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait_ready(self):
        if self.child.stdout.readline() != "ready\n":
            raise SystemExit("bench: herald-handshakes does not start")
        return self

    def go(self):
        self.child.stdin.write("go\n")
        self.child.stdin.flush()

    def finish(self):
        return json.loads(self.child.stdout.readline())

    def end(self):
        self.child.kill()
        self.child.communicate()


def cpu_of(pids):
    return sum(cpu_ns(pid) for pid in tree(pids)) / 1e3


def floor_us(count, parallel, port=18998):
    server = subprocess.Popen(pinned(SERVERS, [os.path.join(PROGRAMS, "herald-handshake-floor"), port]),
                              stdout=subprocess.PIPE, text=True)
    if server.stdout.readline() != "listening\n":
        raise SystemExit(f"bench: herald-handshake-floor cannot listen on port {port}")
    clients = Clients("--gateway", f"127.0.0.1:{port}", "--count", count, "--parallel", parallel, "--raw").wait_ready()
    before = cpu_of([server.pid])
    clients.go()
    clients.finish()
    used = cpu_of([server.pid]) - before
    clients.end()
    server.kill()
    server.communicate()
    return used / count


class Stage:
    """Redis and a gateway with one worker, for one algorithm."""

    def __init__(self, algorithm, args):
        self.args, self.algorithm = args, algorithm
        self.folder = tempfile.TemporaryDirectory(prefix="herald-handshakes-")
        self.key = os.path.join(self.folder.name, "key.pem")
        self.offset = free_port_offset()
        self.clients = self.make_clients()  # before the gateway: they make the key
        options = {"log.level": "warn", "limit.connect_rate": "0", "auth.algorithm": algorithm, "auth.key_file": self.key}
        options.update(pair.split("=", 1) for pair in args.set)
        self.cluster = Cluster(self.folder.name, gateways=1, workers=1, routers=0, registries=0,
                               port_offset=self.offset, assignments=options)
        self.cluster.up()
        self.gateway, self.redis = self.cluster.of("gateway")[0].process.pid, self.cluster.redis.process.pid
        for pid in tree([self.gateway, self.redis]):
            subprocess.run(["taskset", "-a", "-p", "-c", SERVERS, str(pid)], stdout=subprocess.DEVNULL, check=True)

    def make_clients(self):
        return Clients("--gateway", f"127.0.0.1:{8080 + self.offset}", "--count", self.args.count, "--parallel",
                       self.args.parallel, "--algorithm", self.algorithm, "--key-file", self.key).wait_ready()

    def round(self):
        """CPU of gateway and Redis for each connection, in us, and connections a second of CPU."""
        before = cpu_of([self.gateway]), cpu_of([self.redis])
        self.clients.go()
        report = self.clients.finish()
        if report["refused"] or report["failed"]:
            raise SystemExit(f"bench: void run: {report}")
        return ((cpu_of([self.gateway]) - before[0]) / self.args.count,
                (cpu_of([self.redis]) - before[1]) / self.args.count, report["seconds"])

    def script_us(self):
        """What Redis says of the scripts: microseconds a call."""
        host, port = self.cluster.redis.address.split(":")
        text = subprocess.run(["redis-cli", "-h", host, "-p", port, "info", "commandstats"], capture_output=True,
                              text=True, check=True).stdout
        line = next(line for line in text.splitlines() if line.startswith("cmdstat_evalsha:"))
        return float(line.split("usec_per_call=")[1].split(",")[0])

    def end(self):
        self.clients.end()
        self.cluster.down()


def measure(algorithm, args):
    floors, gateways, redises, totals, seconds = [], [], [], [], []
    for _ in range(args.rounds):
        floors.append(floor_us(args.count, args.parallel))
        stage = Stage(algorithm, args)
        gateway, redis, took = stage.round()
        script = stage.script_us()
        stage.end()
        gateways.append(gateway)
        redises.append(redis)
        totals.append(gateway + redis)
        seconds.append(took)
    total, floor = statistics.median(totals), statistics.median(floors)
    row = {"name": f"handshakes {algorithm}", "gateway_us": statistics.median(gateways),
           "redis_us": statistics.median(redises), "script_us": script, "total_us": total, "min": min(totals),
           "max": max(totals), "floor_us": floor, "ratio": total / floor, "per_core": 1e6 / total,
           "per_second": args.count / statistics.median(seconds)}
    print(f"{algorithm:<6} gateway {row['gateway_us']:6.1f} + Redis {row['redis_us']:5.1f} = {total:6.1f} us "
          f"({min(totals):.1f} .. {max(totals):.1f})  floor {floor:5.1f} us  {row['ratio']:.2f} x  (goal 3 x)  "
          f"{row['per_core']:.0f} a second of CPU (goal 10000); the script {script:.1f} us", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=15000)
    parser.add_argument("--parallel", type=int, default=256)
    parser.add_argument("--algorithms", default="HS256,ES256,EdDSA,RS256")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    rows = [measure(algorithm, args) for algorithm in args.algorithms.split(",")]
    if args.json:
        with open(args.json, "w") as out:
            json.dump(rows, out, indent=2)


if __name__ == "__main__":
    main()
