"""Cuts between processes. A run that may do that lives in a network namespace of its own; each process has a group id of its
own, by which iptables knows the connections that it opens. Only packets are dropped: nobody is told."""

import os
import re
import shutil
import subprocess
import sys

INSIDE = "HERALD_CHAOS_NAMESPACE"
MOUNTS = "HERALD_CHAOS_MOUNTS"  # "1": and in a mount namespace of its own
FIRST_GROUP = 61000
PROBE = ("ip link set lo up && iptables -A OUTPUT -m owner --gid-owner 61000 -p tcp -m multiport --dports 7,9 -j CONNMARK "
         "--set-mark 7 && iptables -A INPUT -m connmark --mark 7 -m conntrack --ctdir REPLY -j DROP && "
         "iptables -A INPUT -p tcp -m statistic --mode random --probability 0.1 -j DROP")


def is_possible():
    """Root, and a kernel with namespaces, connection tracking and these matches."""
    if os.geteuid() != 0 or not all(shutil.which(p) for p in ("unshare", "ip", "iptables", "setpriv", "ss")):
        return False
    return subprocess.run(["unshare", "-n", "sh", "-c", PROBE], capture_output=True, check=False).returncode == 0


def enter():
    """Runs this program again inside a namespace, if that is possible. True: we are inside."""
    if os.environ.get(INSIDE):
        return True
    if not is_possible():
        return False
    mounts = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    can_mount = mounts.returncode == 0
    os.execvpe("unshare", ["unshare", "-n", *(["-m"] if can_mount else []), "sh", "-c",
                           'ip link set lo up && exec "$0" "$@"', sys.executable, *sys.argv],
               dict(os.environ, **{INSIDE: "1", MOUNTS: "1" if can_mount else "0"}))


def can_mount():
    return os.environ.get(MOUNTS) == "1"


def iptables(*words):
    subprocess.run(["iptables", "-w", *words], check=True, capture_output=True)


class Network:
    def __init__(self, stage):
        self.stage, self.groups, self.marks = stage, {}, 0

    def give_group(self, name, process):
        """Before it is started."""
        self.groups[name] = FIRST_GROUP + len(self.groups)
        process.argv[:0] = ["setpriv", "--regid", str(self.groups[name]), "--clear-groups", "--pdeathsig", "KILL"]

    def listening(self, name):
        pids = {self.stage.processes()[name].pid, *self.stage.workers(name)}
        text = subprocess.run(["ss", "-Hltnp"], check=True, capture_output=True, text=True).stdout
        ports = set()
        for line in text.splitlines():
            if pids & {int(pid) for pid in re.findall(r"pid=(\d+)", line)}:
                ports.add(line.split()[3].rpartition(":")[2])
        return sorted(ports)

    def cut(self, a, b, direction):
        """No packet between the two, or only from the one that opened a connection, or only to it; returns the rules."""
        self.marks += 1
        rules, mark = [], str(self.marks)
        for opener, to in ((a, b), (b, a)):
            ports = self.listening(to)
            if ports:
                rules.append(("OUTPUT", "-m", "owner", "--gid-owner", str(self.groups[opener]), "-p", "tcp", "-m", "multiport",
                              "--dports", ",".join(ports[:15]), "-j", "CONNMARK", "--set-mark", mark))
        way = ("-m", "conntrack", "--ctdir", direction) if direction else ()
        rules.append(("INPUT", "-m", "connmark", "--mark", mark, *way, "-j", "DROP"))
        return self.add(rules)

    def lose(self, portion):
        return self.add([("INPUT", "-p", "tcp", "-m", "statistic", "--mode", "random", "--probability", f"{portion:.4f}",
                          "-j", "DROP")])

    @staticmethod
    def add(rules):
        for rule in rules:
            iptables("-A", *rule)
        return rules

    @staticmethod
    def heal(rules):
        for rule in rules:
            iptables("-D", *rule)
