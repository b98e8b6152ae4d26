#!/usr/bin/env python3
"""The million run: very many live, authenticated connections on this machine, clients included. How long connecting
takes, what a connection costs (user memory, kernel memory, Redis, idle CPU), whether everyone can be reached, and
whether memory comes back when most have left. Unattended; about a quarter of an hour for 1,200,000."""

import argparse
import collections
import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy", "local"))

from cluster import Cluster, free_port_offset  # noqa: E402
from cluster_cpu import cpu_ns, pss_bytes, tree  # noqa: E402

PROGRAMS = os.path.join(ROOT, "build", "release")
SPARE_DESCRIPTORS = 200  # of a worker, for what is no connection
FILL = 0.88  # of a worker's descriptors: the kernel spreads connections by chance
LEAST_AVAILABLE = 1.5 * 2**30
LEAVE_PERCENT = 90
FEW_SETTLE = 10  # seconds
SLABS = ("TCP", "sock_inode_cache", "filp", "eventpoll_epi", "ep_head", "lsm_file_cache", "nf_conntrack")
DENTRY = 192  # bytes, one for each socket; its cache says nothing, since every file has some


# --- what the system says

def meminfo():
    with open("/proc/meminfo") as text:
        return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in text}


def slabs():
    """Bytes of the caches that sockets live in."""
    with open("/proc/slabinfo") as text:
        rows = [line.split() for line in text]
    return {row[0]: int(row[2]) * int(row[3]) for row in rows if row[0] in SLABS}


def sockstat():
    with open("/proc/net/sockstat") as text:
        return " ".join(next(line for line in text if line.startswith("TCP:")).split()[1:])


def setting(name):
    with open("/proc/sys/" + name.replace(".", "/")) as text:
        return text.read().strip()


def set_setting(name, value):
    with open("/proc/sys/" + name.replace(".", "/"), "w") as out:
        out.write(value)


@contextlib.contextmanager
def settings(wanted):
    """Sets what of the system is not as wanted, and puts it back at the end."""
    before = {name: setting(name) for name, (value, is_enough) in wanted.items() if not is_enough(int(setting(name)))}
    for name, old in before.items():
        set_setting(name, str(wanted[name][0]))
        print(f"sysctl {name}: {old} -> {setting(name)} (put back at the end)")
    if not before:
        print("sysctl: nothing had to be changed")
    try:
        yield
    finally:
        for name, old in before.items():
            set_setting(name, old)


def settings_for(args):
    files = args.connections * 2 + 100000
    wanted = {"fs.file-max": (files, lambda value: value >= files)}
    # Each session has the same share of the processor, be it one process or 35: workers would stand still for seconds.
    if not args.beside:
        wanted["kernel.sched_autogroup_enabled"] = (0, lambda value: value == 0)
    return wanted


def watch_memory(million, end):
    """Ends the clients before the machine has no memory left: the rest follows."""
    while not end.wait(1):
        if meminfo()["MemAvailable"] < LEAST_AVAILABLE and million.client:
            print("million: too little memory is available: given up", file=sys.stderr, flush=True)
            million.client.kill()
            return


# --- the run

class Million:
    def __init__(self, args):
        self.args, self.figures = args, {}
        self.folder = tempfile.TemporaryDirectory(prefix="herald-million-")
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        room = descriptors - SPARE_DESCRIPTORS
        workers = -(-args.connections // int(room * FILL))
        self.workers = args.workers or max(2, -(-workers // args.gateways))
        assignments = {"log.level": "warn", "limit.connections": room,
                       "router.users_cached": max(500000, args.connections * 5 // 4)}
        assignments.update(item.split("=", 1) for item in args.set)
        self.cluster = Cluster(self.folder.name, gateways=args.gateways, workers=self.workers, routers=args.routers,
                               registries=1, broker=args.broker, port_offset=free_port_offset(), assignments=assignments)
        print(f"{args.connections} connections, {args.gateways} x {self.workers} workers, {descriptors} descriptors a process")
        self.client = None

    def start(self):
        self.cluster.up()
        ports = ",".join(d.settings["ws.listen"].split(":")[1] for d in self.cluster.of("gateway"))
        self.client = subprocess.Popen(
            [os.path.join(PROGRAMS, "herald-million"), "--ports", ports, "--connections", str(self.args.connections),
             "--brokers", self.cluster.broker.address, "--window", str(self.args.window)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.client.stdin.write(" ".join(map(str, words)) + "\n")
        self.client.stdin.flush()
        line = self.client.stdout.readline()
        if not line:
            raise SystemExit("million: herald-million has ended")
        return json.loads(line)

    def stop(self):
        if self.client:
            with contextlib.suppress(BrokenPipeError):
                self.client.stdin.close()
            self.client.wait()
        self.cluster.down()

    def pids(self, kind):
        if kind == "redis":
            return [self.cluster.redis.process.pid]
        return tree([d.process.pid for d in self.cluster.of(kind)])

    def pss(self, kind):
        return sum(map(pss_bytes, self.pids(kind)))

    def memory(self):
        return {"gateway": self.pss("gateway"), "router": self.pss("router"), "redis": self.pss("redis"),
                "available": meminfo()["MemAvailable"], "slabs": slabs()}

    def say(self, name, value, unit="", goal="", digits=2):
        self.figures[name] = value
        text = f"{value:,.{digits}f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
        print(f"{name:<58} {text:>14} {unit:<8}{'goal ' + goal if goal else ''}", flush=True)

    def gateway_metric(self, name):
        total = 0
        for daemon in self.cluster.of("gateway"):
            text = urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin_port}/metrics").read().decode()
            total += sum(float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))
        return total

    def connect_few(self):
        """As many as will stay at the end: what they need is known then."""
        self.before = self.memory()
        self.few = self.ask("open", 100 - LEAVE_PERCENT)["up"]
        self.sweep("the first sweep, durable", "durable", self.few)
        time.sleep(FEW_SETTLE)
        self.with_few = self.pss("gateway")
        self.say("user memory: gateways with nobody", self.before["gateway"] / 2**20, "MiB")
        self.say(f"user memory: gateways with the first {self.few:,}, after it", self.with_few / 2**20, "MiB")

    def connect(self):
        report = self.ask("open", 100)
        report["new"] = report["up"] - self.few
        self.say("connections, authenticated, with a route", report["up"], "", f"{self.args.connections:,}")
        self.say(f"time to connect the last {report['new']:,}", report["seconds"], "s")
        self.say("connections a second, clients on the same cores", report["new"] / report["seconds"], "/s", digits=0)
        self.say("refused and tried again (full worker), failed", f"{report['refused']}, {report['failed']}")
        if report["up"] != self.args.connections:
            raise SystemExit(f"million: not all could connect: {report}")

    def memory_of_a_connection(self):
        now, count = self.memory(), self.args.connections
        self.full = now
        self.say("user memory: gateways with all", now["gateway"] / 2**20, "MiB")
        self.slope = (now["gateway"] - self.with_few) / (count - self.few)
        self.say("user memory of a connection (slope of PSS of all gateways)", self.slope, "B", "<= 512")
        self.say("    with the workers themselves, divided by all", now["gateway"] / count, "B")
        grown = {name: (now["slabs"].get(name, 0) - self.before["slabs"].get(name, 0)) / count for name in SLABS}
        self.say("kernel memory of a connection, both ends", sum(grown.values()) + 2 * DENTRY, "B")
        for name, bytes_each in grown.items():
            if bytes_each > 0.5:
                self.say(f"    of these {name}", bytes_each, "B")
        self.say("Redis' memory of a route and its device", (now["redis"] - self.before["redis"]) / count, "B")
        self.say("memory that all of it took from the machine", (self.before["available"] - now["available"]) / 2**30, "GiB")
        self.say("memory still available", now["available"] / 2**30, "GiB")
        self.say("/proc/net/sockstat", sockstat())

    def cpu(self):
        return {kind: sum(map(cpu_ns, self.pids(kind))) / 1e9 for kind in ("gateway", "router", "registry", "redis")}

    def idle(self):
        before, pings, start = self.cpu(), self.ask("stats")["pings"], time.monotonic()
        time.sleep(self.args.idle)
        seconds = time.monotonic() - start
        after = self.cpu()
        used = {kind: (after[kind] - before[kind]) * 1e6 / seconds / self.args.connections for kind in after}
        self.say(f"idle CPU of a connection, {seconds:.0f} s, all of Herald and Redis", sum(used.values()), "us/s", "<= 0.35",
                 digits=3)
        for kind, value in used.items():
            self.say(f"    {kind}", value, "us/s", digits=3)
        self.say("    pings answered, each second", (self.ask("stats")["pings"] - pings) / seconds, "/s", digits=0)

    def sweep(self, title, message_class, expected):
        before = self.cpu()
        report = self.ask("sweep", self.args.rate, message_class)
        after = self.cpu()
        each = {kind: (after[kind] - before[kind]) * 1e6 / max(report["received"], 1) for kind in after}
        self.say(f"{title}: users who got their message once", report["once"], "", f"{expected:,}")
        self.say("    not at all, twice, wrong ones", f"{report['never']}, {report['twice']}, {report['wrong']}", "", "0, 0, 0")
        self.say("    time from the first to the last", report["seconds"], "s")
        self.say("    latency p50, p99, longest",
                 f"{report['p50_ms']:.0f}, {report['p99_ms']:.0f}, {report['max_ms']:.0f}", "ms")
        self.say("    CPU of a message, all of Herald and Redis", sum(each.values()), "us")
        self.say("    of it " + ", ".join(each), ", ".join(f"{value:.1f}" for value in each.values()), "us")
        if report["once"] != expected or report["never"] or report["twice"] or report["wrong"] or report["closed"]:
            raise SystemExit(f"million: void: {report}")

    def settle(self, left):
        """Until those who left are gone, in Redis too, and memory no longer falls."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and (self.gateway_metric("herald_gateway_sessions") > left or
                                               self.gateway_metric("herald_gateway_route_removals_pending") > 0):
            time.sleep(1)
        lowest, lowest_at = self.pss("gateway"), time.monotonic()
        while time.monotonic() < min(lowest_at + 15, deadline):
            time.sleep(1)
            now = self.pss("gateway")
            if now < lowest * 0.995:
                lowest, lowest_at = now, time.monotonic()

    def leave(self):
        left = self.ask("leave", LEAVE_PERCENT)["up"]
        start = time.monotonic()
        self.settle(left)
        now = self.memory()
        needed = self.with_few + self.slope * (left - self.few)
        self.say(f"{LEAVE_PERCENT} % left, by chance; connections that stay", left)
        self.say("user memory: gateways then", now["gateway"] / 2**20, "MiB")
        self.say("    needed: what so many took before the others came", needed / 2**20, "MiB")
        self.say("    above what is needed", (now["gateway"] / needed - 1) * 100, "%", "<= 15")
        self.say("    until it was there", time.monotonic() - start, "s", digits=0)
        return left

    def explain(self):
        """What the gateways say about a run that failed."""
        for daemon in self.cluster.of("gateway"):
            with contextlib.suppress(OSError):
                text = urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin_port}/metrics", timeout=5).read().decode()
                totals = collections.Counter()
                for name, reason, value in re.findall(r'^(\S*(?:clos|restart|refus)\w*){slot="\d+",?([^}]*)} (\S+)$', text, re.M):
                    totals[f"{name}{{{reason}}}"] += float(value)
                print(f"{daemon.name}:", {name: value for name, value in totals.items() if value}, file=sys.stderr)
        for daemon in self.cluster.daemons:
            with open(daemon.process.log, errors="replace") as log:
                lines = [line for line in log if "development" not in line]
            print(f"{daemon.name}: of {len(lines)} lines that it wrote", file=sys.stderr)
            sys.stderr.writelines("    " + line for line in (lines if len(lines) <= 12 else lines[:6] + lines[-6:]))

    def run(self):
        start = time.monotonic()
        self.start()
        self.connect_few()
        self.connect()
        self.memory_of_a_connection()
        self.idle()
        self.sweep("sweep, durable, acknowledged", "durable", self.args.connections)
        left = self.leave()
        self.sweep("sweep, volatile, to those who stay", "volatile", left)
        self.say("all of it took", time.monotonic() - start, "s", digits=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=1200000)
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="of each gateway; 0: as many as are needed")
    parser.add_argument("--routers", type=int, default=1)
    parser.add_argument("--rate", type=int, default=15000, help="messages a second of the sweep, at most")
    parser.add_argument("--idle", type=int, default=75, help="seconds over which idle CPU is measured")
    parser.add_argument("--window", type=int, default=2048, help="connections under way at the same time")
    parser.add_argument("--broker", default="kafka", choices=("kafka", "embedded"))
    parser.add_argument("--beside", action="store_true", help="others use this machine, too: they keep their share of it")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    million, end = Million(args), threading.Event()
    threading.Thread(target=watch_memory, args=(million, end), daemon=True).start()
    try:
        with settings(settings_for(args)):
            million.run()
    except BaseException:
        million.explain()
        raise
    finally:
        million.stop()
        end.set()
    if args.json:
        with open(args.json, "w") as out:
            json.dump(million.figures, out, indent=2)


if __name__ == "__main__":
    main()
