"""One child process of a local cluster: started with a log file of its own, watched, ended by its pid."""

import ctypes
import os
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1


class StartError(Exception):
    """A process did not come up; the text says which, why, and where its log is."""


def wait_until(condition, what, timeout, alive=lambda: True):
    """Polls condition() until it is true; StartError after `timeout` seconds or when alive() turns false."""
    deadline = time.monotonic() + timeout
    while not condition():
        if not alive():
            raise StartError(f"{what}: the process ended")
        if time.monotonic() > deadline:
            raise StartError(f"{what}: not within {timeout:g} s")
        time.sleep(0.02)


def _die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    def __init__(self, name, argv, log, env=None, detached=False):
        self.name, self.argv, self.log, self.detached = name, [str(a) for a in argv], str(log), detached
        self.env = dict(os.environ, **(env or {}))
        self.child = None

    def start(self):
        assert not self.is_alive(), f"{self.name} already runs"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, start_new_session=True,
                preexec_fn=None if self.detached else _die_with_parent)
        return self

    @property
    def pid(self):
        return self.child.pid if self.child else None

    def is_alive(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, signo):
        if self.is_alive():
            self.child.send_signal(signo)

    def stop(self, timeout=15):
        """SIGTERM, then SIGKILL after `timeout` seconds. Returns the exit status."""
        self.signal(signal.SIGTERM)
        return self._reap(timeout)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self._reap(10)

    def _reap(self, timeout):
        if self.child is None:
            return None
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait(10)

    def log_tail(self, lines=15):
        try:
            with open(self.log, errors="replace") as log:
                return "".join(log.readlines()[-lines:])
        except OSError:
            return ""

    def wait_ready(self, condition, timeout):
        try:
            wait_until(condition, self.name, timeout, self.is_alive)
        except StartError as error:
            raise StartError(f"{error}\n--- end of {self.log}\n{self.log_tail()}") from None


def stop_pid(pid, timeout=15):
    """Ends a process that an earlier herald-local started: SIGTERM, then SIGKILL."""
    for signo, seconds in ((signal.SIGTERM, timeout), (signal.SIGKILL, 5)):
        try:
            os.kill(pid, signo)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not is_pid_alive(pid):
                return
            time.sleep(0.02)


def is_pid_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
