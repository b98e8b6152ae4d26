"""CPU time and memory of processes, from /proc."""

import os
import time

REST_WINDOW_S, REST_WINDOWS = 4, 15  # what is done after clients have left takes a while

TICK = os.sysconf("SC_CLK_TCK")


def children_of(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as children:
            found += [int(child) for child in children.read().split()]
    return found


def tree(pids):
    """These processes and their children."""
    todo, found = list(pids), []
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children_of(pid)
    return found


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def pss_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def cpu_ns(pid):
    """Of all threads of a process, from the scheduler: exact where cpu_seconds() counts in ticks of 10 ms."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total


def rate_over(cpu, seconds):
    """By what cpu() grows in a second."""
    before, begun = cpu(), time.monotonic()
    time.sleep(seconds)
    return (cpu() - before) / (time.monotonic() - begun)


def rate_at_rest(cpu):
    """The same, when nothing is left to do: of two windows in a row that differ by less than a tenth, or the least of all."""
    rates = [rate_over(cpu, REST_WINDOW_S)]
    while len(rates) < REST_WINDOWS:
        rates.append(rate_over(cpu, REST_WINDOW_S))
        if abs(rates[-1] - rates[-2]) <= rates[-2] / 10:
            return (rates[-1] + rates[-2]) / 2
    return min(rates)
