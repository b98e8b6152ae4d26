#!/usr/bin/env python3
"""`make instructions`: what a message costs in instructions, compared with what bench/instructions.json remembers.

    bench/instructions/count.py [--update] [--only NAME] [--functions N]

Each script of the drivers runs twice under callgrind, ROUNDS rounds and twice as many; the difference, divided by the
messages of it, is the count: so starting is out of it. Instructions, calls of malloc and its like, and system calls
are counted, of Herald and of the libraries it calls in its own thread (libc, libcrypto), not of ZeroMQ, hiredis,
librdkafka and libevent, which fakes stand for. Fails when a script costs more than is remembered plus TOLERANCE;
--update writes what was counted, and the table of docs/performance.md."""

import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PROGRAMS = os.path.join(ROOT, "build", "release")
REMEMBERED = os.path.join(ROOT, "bench", "instructions.json")
PAGE = os.path.join(ROOT, "docs", "performance.md")
BEGIN, END = "<!-- instructions: made by `make update-instructions` -->", "<!-- /instructions -->"

ROUNDS = 6
TOLERANCE = 0.03  # of instructions, of a whole script
COUNT_TOLERANCE = 0.05  # allocations or system calls of a message
LOWER_BELOW = 0.05  # so much less than remembered: it is time to remember less

# the C library's ways into the kernel; not clock_gettime(), which the vDSO answers
SYSTEM_CALLS = {"accept4", "brk", "close", "epoll_ctl", "epoll_wait", "fcntl", "fcntl64", "getpeername", "getsockopt",
                "madvise", "mmap", "munmap", "read", "recv", "recvmsg", "send", "sendmsg", "setsockopt", "shutdown",
                "write", "writev"}
ALLOCATORS = {"malloc", "calloc", "realloc", "reallocarray", "posix_memalign", "aligned_alloc", "memalign"}

# The C library and libcrypto choose code by the processor: the plainest, everywhere.
ENVIRONMENT = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-AVX,-ERMS,-FSRM,-AVX512F,-AVX512VL",
    "OPENSSL_ia32cap": "0:0",
}

# (driver, script): hops, each the functions whose cost adds up to it, and those whose cost is taken out again because
# another hop has them. Functions of other files only: static ones may be inlined. "of it" is part of the one before.
ROUTER = {
    "record and parse": (["record_new"], []),
    "of it the parse": (["push_parse"], []),
    "route, flow, lane": (["hop_consume", "hop_end_turn"], ["record_new"]),
    "of it the lane, with packing": (["lanes_send"], []),
    "result, books, commit mark": (["hop_results"], []),
    "of it unpacking": (["link_unpack"], []),
}
GATEWAY = {
    "envelope to sessions and frames": (["hop_deliver"], []),
    "of it unpacking": (["link_unpack"], []),
    "the write, its result": (["hop_write", "hop_results"], []),
}
ACK = {**GATEWAY, "the client's acknowledgement, its result": (["hop_ack"], [])}
SCRIPTS = {
    ("router", "volatile"): ROUTER,
    ("router", "durable"): ROUTER,
    ("gateway", "volatile"): GATEWAY,
    ("gateway", "durable"): ACK,
    ("gateway", "broadcast"): {"sessions and the one frame": (["hop_deliver"], []),
                               "the write, the result": (["hop_write", "hop_results"], [])},
    ("gateway", "connection"): {
        "accept, request, 101": (["hop_handshake"], ["auth_check", "session_new", "routes_register"]),
        "the token": (["auth_check"], []),
        "session and route": (["session_new", "routes_register", "hop_registered"], []),
        "leaving": (["hop_leave"], []),
    },
}
UNIT = {"broadcast": "frame", "connection": "connection"}


class Profile:
    """A callgrind file: cost of each function, with and without those it calls, and calls to each."""

    def __init__(self, path):
        self.inclusive, self.own, self.calls = {}, {}, {}
        is_call = False  # the next line is the cost of a call
        function = None
        with open(path, errors="replace") as lines:
            for line in lines:
                if line.startswith("fn="):
                    function = line[3:].strip().split("'")[0]
                elif line.startswith("cfn="):
                    callee = line[4:].strip().split("'")[0]
                elif line.startswith("calls="):
                    self.calls[callee] = self.calls.get(callee, 0) + int(line[6:].split()[0])
                    is_call = True
                elif line[:1].isdigit() and function:
                    cost_here = int(line.split()[1])
                    self.inclusive[function] = self.inclusive.get(function, 0) + cost_here
                    if not is_call:
                        self.own[function] = self.own.get(function, 0) + cost_here
                    is_call = False
                elif line.startswith("totals:"):
                    self.total = int(line.split()[1])
        self.allocations = sum(self.calls.get(name, 0) for name in ALLOCATORS)
        self.system_calls = sum(self.calls.get(name, 0) for name in SYSTEM_CALLS)


def run(driver, script, rounds, folder):
    out = os.path.join(folder, f"{driver}-{script}-{rounds}")
    argv = ["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=hop_*",
            "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}", os.path.join(PROGRAMS, f"herald-count-{driver}"),
            script, str(rounds)]
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("HERALD_")}, **ENVIRONMENT}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=120)
    if done.returncode:
        raise SystemExit(f"instructions: {driver} {script} failed:\n{done.stdout}{done.stderr}")
    return Profile(out), int(done.stdout)


def cost(profile, hop):
    plus, minus = hop
    for name in plus + minus:
        if name not in profile.inclusive:
            raise SystemExit(f"instructions: there is no function {name} any more: see SCRIPTS in {__file__}")
    return sum(profile.inclusive[name] for name in plus) - sum(profile.inclusive[name] for name in minus)


def count(driver, script, folder):
    (once, units), (twice, double) = (run(driver, script, rounds, folder) for rounds in (ROUNDS, 2 * ROUNDS))
    units = double - units
    return {
        "instructions": round((twice.total - once.total) / units),
        "allocations": round((twice.allocations - once.allocations) / units, 2),
        "system_calls": round((twice.system_calls - once.system_calls) / units, 2),
        "hops": {name: round((cost(twice, hop) - cost(once, hop)) / units)
                 for name, hop in SCRIPTS[driver, script].items()},
        "functions": {name: round((own - once.own.get(name, 0)) / units, 1) for name, own in twice.own.items()},
    }


def count_all(only):
    names = [key for key in SCRIPTS if only in " ".join(key)]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = list(pool.map(lambda key: count(*key, folder), names))
    return {" ".join(key): counted for key, counted in zip(names, counts)}


def versions():
    """What the count depends on besides Herald."""
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "gcc-12", "libc6", "libssl3"],
                          capture_output=True, text=True).stdout
    return dict(line.split() for line in said.splitlines())


def compare(name, now, then):
    """What is worse than is remembered, as texts."""
    worse = []
    if now["instructions"] > then["instructions"] * (1 + TOLERANCE):
        worse.append(f"{now['instructions']} instructions, {then['instructions']} remembered")
    for what in ("allocations", "system_calls"):
        if now[what] > then[what] + COUNT_TOLERANCE:
            worse.append(f"{now[what]} {what}, {then[what]} remembered")
    return [f"{name}: {text}" for text in worse]


def show(counted, remembered, functions):
    for name, now in counted.items():
        then = remembered.get(name)
        change = f"{100 * (now['instructions'] / then['instructions'] - 1):+.1f} %" if then else "new"
        print(f"{name:<20} {now['instructions']:>7} instructions ({change}), {now['allocations']} allocations, "
              f"{now['system_calls']} system calls")
        for hop, instructions in now["hops"].items():
            before = then["hops"].get(hop) if then else None
            print(f"    {hop:<34} {instructions:>7}" + (f"  {instructions - before:+d}" if before else ""))
        for function, own in sorted(now.pop("functions").items(), key=lambda item: -item[1])[:functions]:
            print(f"        {function:<40} {own:>9}")


def table(counted):
    rows = ["| hop | instructions | allocations | system calls |", "|---|---|---|---|"]
    for name, now in counted.items():
        unit = UNIT.get(name.split()[1], "message")
        rows.append(f"| **{name}**, a {unit} | **{now['instructions']:,}** | {now['allocations']:g} | "
                    f"{now['system_calls']:g} |")
        rows += [f"| {hop} | {instructions:,} | | |" for hop, instructions in now["hops"].items()]
    return "\n".join(rows)


def page_with(text, counted):
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    if not re.search(pattern, text, re.DOTALL):
        raise SystemExit(f"instructions: {PAGE} has no place for the table ({BEGIN} ... {END})")
    return re.sub(pattern, lambda _: f"{BEGIN}\n{table(counted)}\n{END}", text, flags=re.DOTALL)


def update(counted, memory):
    memory["counts"].update(counted)
    memory["counts"] = {" ".join(key): memory["counts"][" ".join(key)] for key in SCRIPTS}
    memory["with"] = versions()
    with open(REMEMBERED, "w") as out:
        json.dump(memory, out, indent=2)
        out.write("\n")
    with open(PAGE) as page:
        text = page.read()
    with open(PAGE, "w") as page:
        page.write(page_with(text, memory["counts"]))


def judge(counted, memory):
    worse = [text for name, now in counted.items() for text in
             (compare(name, now, memory["counts"][name]) if name in memory["counts"] else [f"{name}: not remembered"])]
    for name, now in counted.items():
        then = memory["counts"].get(name)
        if then and now["instructions"] < then["instructions"] * (1 - LOWER_BELOW):
            print(f"{name} has become cheaper: `make update-instructions` keeps it so")
    with open(PAGE) as page:
        text = page.read()
    if page_with(text, memory["counts"]) != text:
        worse.append("docs/performance.md does not say what bench/instructions.json says: make update-instructions")
    for text in worse:
        print(f"instructions: {text}", file=sys.stderr)
    if worse and memory["with"] != versions():
        print(f"instructions: counted with {versions()}, remembered with {memory['with']}", file=sys.stderr)
    return 1 if worse else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--only", default="", help="scripts whose name has this in it")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="the N that cost most by themselves")
    args = parser.parse_args()
    memory = {"with": {}, "counts": {}}
    if os.path.exists(REMEMBERED):
        with open(REMEMBERED) as remembered:
            memory = json.load(remembered)
    counted = count_all(args.only)
    show(counted, memory["counts"], args.functions)
    if args.update:
        update(counted, memory)
        return 0
    return judge(counted, memory)


if __name__ == "__main__":
    sys.exit(main())
