"""Allocations, copied bytes and system calls for each message on the steady path, in a round of its own: what is counted
is slower for it, so its times are not used.

Allocations and copies: count_shim.c, preloaded into the daemons. System calls: `perf stat` on the tracepoint of all
system calls and on those that matter, where perf may."""

import dataclasses
import os
import shutil
import struct
import subprocess
import tempfile
import time

from loads import PROGRAMS, Load, wrong_with
from measure import _arguments
from stage import Stage

CALLS = ("sendmsg", "sendto", "writev", "write", "recvfrom", "recvmsg", "read", "readv", "epoll_wait", "epoll_pwait",
         "epoll_pwait2", "epoll_ctl", "poll", "futex", "timerfd_settime", "gettimeofday", "clock_gettime", "mmap", "munmap",
         "madvise", "brk")
CONTENT = 512
KINDS = ("gateway", "router", "registry")
PERF_START_S = 0.5
_FIELDS = ("allocations", "allocated_bytes", "copies", "copied_bytes")
_LAYOUT = struct.Struct("8Q")


class CountingCluster:
    """A stage whose daemons count into a file for each kind."""

    def __init__(self, stand, broker):
        self.folder = tempfile.TemporaryDirectory(prefix="herald-count-")
        self.files = {kind: os.path.join(self.folder.name, kind) for kind in KINDS}
        for path in self.files.values():
            with open(path, "wb") as out:
                out.write(bytes(4096))
        shim = os.path.join(PROGRAMS, "count_shim.so")
        self.stage = Stage(stand, broker, env=lambda kind: {"LD_PRELOAD": shim, "HERALD_COUNT": self.files[kind]})

    def read(self):
        """kind -> counter -> (of the program itself, of its libraries)."""
        found = {}
        for kind, path in self.files.items():
            with open(path, "rb") as counts:
                numbers = _LAYOUT.unpack(counts.read(_LAYOUT.size))
            found[kind] = {name: (numbers[2 * i], numbers[2 * i + 1]) for i, name in enumerate(_FIELDS)}
        return found

    def down(self):
        self.stage.down()
        self.folder.cleanup()


class Calls:
    """perf stat beside the processes of one kind; None in counts() where perf may not."""

    def __init__(self, pids):
        events = ["raw_syscalls:sys_enter", *(f"syscalls:sys_enter_{call}" for call in CALLS)]
        self.out = tempfile.NamedTemporaryFile("r", prefix="herald-perf-")
        argv = ["perf", "stat", "-x", ";", "-o", self.out.name, "-p", ",".join(map(str, pids))]
        for event in events:
            argv += ["-e", event]
        self.child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if shutil.which("perf") else None

    def counts(self):
        if self.child is None:
            return None
        self.child.send_signal(2)
        self.child.wait(20)
        return parse_perf(self.out.read())


def parse_perf(text):
    """`perf stat -x ;` -> {"all": n, "sendmsg": n ...}; None when it counted nothing."""
    counts = {}
    for line in text.splitlines():
        fields = line.split(";")
        if len(fields) > 2 and fields[0].isdigit():
            name = fields[2].rsplit(":", 1)[1]
            counts["all" if name == "sys_enter" else name.removeprefix("sys_enter_")] = int(fields[0])
    return counts if "all" in counts else None


def per_message(before, after, calls, messages):
    """What is reported: everything divided by messages; calls below a hundredth are left out."""
    found = {}
    for kind in KINDS:
        entry = {}
        for name in _FIELDS:
            own, libraries = (a - b for a, b in zip(after[kind][name], before[kind][name]))
            entry[name] = {"own": own / messages, "libraries": libraries / messages}
        if calls.get(kind):
            entry["syscalls"] = {name: count / messages for name, count in calls[kind].items()
                                 if name == "all" or count >= messages / 100}
        found[kind] = entry
    return found


def totals(counted):
    """The metrics that thresholds may ask for, of gateway and router together; system calls only where perf may count."""
    daemons = [counted[kind] for kind in ("gateway", "router")]
    found = {"allocations": sum(sum(d["allocations"].values()) for d in daemons),
             "body_copies": sum(sum(d["copied_bytes"].values()) for d in daemons) / counted["content_bytes"]}
    if all("syscalls" in d for d in daemons):
        found["more_calls"] = sum(d["syscalls"]["all"] for d in daemons) - counted["gateway"]["writes"]
    return found


def count(scenario, broker):
    """The counters of one scenario; None, and why, when the round was void. Bodies are CONTENT bytes long, so that a copy
    of one is known by its length."""
    scenario = dataclasses.replace(scenario, streams=tuple(dataclasses.replace(s, size=CONTENT) for s in scenario.streams))
    cluster = CountingCluster(scenario.stand, broker)
    stage = cluster.stage
    try:
        with Load(stage.gateways(), scenario.connections, *_arguments(scenario, stage, "n-")) as load:
            watches = {kind: Calls(stage.tree_of(kind)) for kind in (*KINDS, "redis")}
            time.sleep(PERF_START_S)
            gateway = stage.cluster.of("gateway")[0]
            names = ("herald_gateway_ws_writes_total", "herald_gateway_ws_sent_total")
            before, wrote = cluster.read(), [stage.metric(gateway, name) for name in names]
            report = load.run()
            after, written = cluster.read(), [stage.metric(gateway, name) for name in names]
            calls = {kind: watch.counts() for kind, watch in watches.items()}
    finally:
        cluster.down()
    if wrong_with(report):
        return None, wrong_with(report)
    messages = report["received"]
    counted = per_message(before, after, calls, messages)
    if calls.get("redis"):
        counted["redis"] = {"syscalls": {"all": calls["redis"]["all"] / messages}}
    counted["gateway"]["writes"] = (written[0] - wrote[0]) / messages
    counted["content_bytes"] = scenario.streams[0].size
    counted["messages"] = messages
    return counted, ""
