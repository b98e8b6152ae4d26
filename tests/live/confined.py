"""Limits of memory for a process and its children: a control group of its own where one can be made, or RLIMIT_DATA."""

import os
import time


class Unavailable(Exception):
    """Says why a control group cannot be made here."""


def _own_group():
    """The folder of this process's memory group, and the names of its limit and of what it counts; version 1 or 2."""
    with open("/proc/self/cgroup") as groups:
        lines = [line.strip().split(":", 2) for line in groups]
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            return _below("/sys/fs/cgroup/memory", path), "memory.limit_in_bytes"
    for number, controllers, path in lines:
        if number == "0" and not controllers:
            return _below("/sys/fs/cgroup", path), "memory.max"
    raise Unavailable("this process is in no memory group")


def _below(top, path):
    """In a container the group's name may be that of outside."""
    folder = top + path.rstrip("/")
    return folder if os.path.isdir(folder) else top


class Group:
    """A control group with a limit. Unavailable where none can be made."""

    def __init__(self, limit_bytes):
        try:
            parent, limit = _own_group()
            self.folder = os.path.join(parent, f"herald-test-{os.getpid()}-{time.monotonic_ns()}")
            os.mkdir(self.folder)
        except OSError as error:
            raise Unavailable(f"no memory group can be made here: {error}") from error
        try:
            with open(os.path.join(self.folder, limit), "w") as out:
                out.write(str(limit_bytes))
        except OSError as error:
            self.remove()
            raise Unavailable(f"a group can be made, but not limited: {error}") from error

    def confine(self, argv):
        """That command, started inside."""
        return ["/bin/sh", "-c", f'echo $$ > "{self.folder}/cgroup.procs" && exec "$@"', "sh", *argv]

    def kills(self):
        """Processes that the kernel ended because the limit was reached."""
        for name in ("memory.events", "memory.oom_control"):
            path = os.path.join(self.folder, name)
            if os.path.exists(path):
                with open(path) as events:
                    counts = dict(line.split() for line in events)
                return int(counts.get("oom_kill", 0))
        return 0

    def remove(self, timeout=10):
        """Once its processes are gone."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                os.rmdir(self.folder)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


class Rlimit:
    """RLIMIT_DATA: beyond it malloc() fails."""

    def __init__(self, limit_bytes):
        self.limit_bytes = limit_bytes

    def confine(self, argv):
        return ["/bin/sh", "-c", f'ulimit -d {self.limit_bytes // 1024} && exec "$@"', "sh", *argv]

    def kills(self):
        return 0

    def remove(self):
        pass
