"""The processes that measure: herald-load, herald-floor, herald-sink. Each is ended by its own pid."""

import json
import os
import socket
import subprocess

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
PROGRAMS = os.path.join(ROOT, "build", "release")
SERVERS, CLIENT = "0", "1"  # cores


class BenchError(Exception):
    """Something did not start, or ended by itself; the text says what."""


def pinned(cpu, argv):
    return ["taskset", "-c", cpu, *map(str, argv)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Child:
    """A process that is talked to in lines."""

    def __init__(self, cpu, program, *argv):
        self.program = program
        self.child = subprocess.Popen(pinned(cpu, [os.path.join(PROGRAMS, program), *argv]), stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def line(self):
        text = self.child.stdout.readline()
        if not text:
            raise BenchError(f"{self.program} ended with status {self.child.wait()}")
        return text

    def say(self):
        self.child.stdin.write("go\n")
        self.child.stdin.flush()

    def end(self):
        self.child.kill()
        self.child.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Load(Child):
    """herald-load: connected and warm when made; its report from run()."""

    def __init__(self, gateway, connections, *argv):
        super().__init__(CLIENT, "herald-load", "--gateway", gateway, "--connections", connections, *argv)
        try:
            word, milliseconds = self.line().split()
        except BenchError:
            self.end()
            raise
        assert word == "ready"
        self.connecting_s = float(milliseconds) / 1e3

    def run(self):
        """Its connections stay until end()."""
        self.say()
        return json.loads(self.line())


def wrong_with(report):
    """Why a report is void; "" when it is not."""
    names = ("lost", "late", "repeated")
    if "back_ms" not in report:
        names += ("closed",)
    return ", ".join(f"{report[name]} {name}" for name in names if report.get(name))


class Floor(Child):
    """herald-floor. us() is its CPU time for each message, or connection."""

    def __init__(self, mode, *argv):
        self.port = free_port()
        super().__init__(SERVERS, "herald-floor", mode, self.port, *argv)
        if self.line() != "listening\n":
            raise BenchError("herald-floor does not listen")

    def us(self):
        return json.loads(self.line())["cpu_us"]


def floor_us(mode, connections=10000, rounds=15, batch=10, rest=0, rate=20000, burst=0):
    """CPU us for each message (send, paced, writev) or connection (accept); `rest`: seconds a client rests between two looks."""
    more = {"send": [rounds], "paced": [max(1, 2 * rate // connections), rate, burst],
            "writev": [max(rounds // batch, 3), batch], "accept": []}[mode]
    with Floor(mode, connections, *more) as floor:
        raw = [] if mode == "accept" else ["--raw", "--rest", round(rest * 1e6)]
        with Load(f"127.0.0.1:{floor.port}", connections, *raw):
            return floor.us()


class Sink(Child):
    """herald-sink: has its routes and knows a router when made; reports() come each time it has so many messages more."""

    def __init__(self, redis, users, expected, prefix):
        super().__init__(CLIENT, "herald-sink", "--redis", redis, "--users", users, "--prefix", prefix, "--expect",
                         ",".join(map(str, expected)))
        if self.line() != "ready\n":
            raise BenchError("herald-sink is not ready")

    def report(self):
        return json.loads(self.line())
