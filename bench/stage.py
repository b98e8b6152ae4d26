"""The cluster under measurement, and what can be seen of it from outside: CPU time, memory, metrics."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy", "local"))

from cluster import Cluster, free_port_offset  # noqa: E402
from cluster_cpu import cpu_ns, pss_bytes, tree  # noqa: E402
from deployed_kafka import as_deployed  # noqa: E402
from loads import PROGRAMS, SERVERS, BenchError  # noqa: E402


class Stage:
    """Herald and Redis on one core, the clients on the other; Kafka has to find its place on both."""

    def __init__(self, stand, broker="kafka", env=None):
        self.folder = tempfile.TemporaryDirectory(prefix="herald-bench-")
        what_it_can = {"limit.connect_rate": 0} if stand.gateways else {}  # not what it admits
        options = {"log.level": "warn", "kafka.partitions": stand.partitions, **what_it_can, **dict(stand.options)}
        self.cluster = Cluster(self.folder.name, gateways=stand.gateways, workers=stand.workers, routers=stand.routers,
                               registries=1, broker=broker, partitions=stand.partitions, port_offset=free_port_offset(),
                               assignments=options, programs=PROGRAMS, env=env)
        if broker == "kafka":
            as_deployed(self.cluster.broker)
        try:
            self.cluster.up()
        except BaseException:
            self.cluster.down()
            raise
        for pid in tree(pid for pids in self.pids().values() for pid in pids):
            subprocess.run(["taskset", "-a", "-p", "-c", SERVERS, str(pid)], stdout=subprocess.DEVNULL, check=True)

    def pids(self):
        """By kind, without children."""
        found = {"redis": [self.cluster.redis.process.pid]}
        for daemon in self.cluster.daemons:
            if daemon.process.is_alive():
                found.setdefault(daemon.kind, []).append(daemon.process.pid)
        return found

    def tree_of(self, kind):
        return tree(self.pids().get(kind, []))

    def cpu(self):
        """User + system time so far in us, by kind of process."""
        return {kind: sum(map(cpu_ns, tree(pids))) / 1e3 for kind, pids in self.pids().items()}

    def memory(self):
        """PSS of all gateway processes."""
        return sum(map(pss_bytes, self.tree_of("gateway")))

    def gateways(self):
        return ",".join(d.settings["ws.listen"].replace("0.0.0.0", "127.0.0.1") for d in self.cluster.of("gateway"))

    def metric(self, daemon, name):
        """Sum over all labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def mailbox_writes(self):
        host, port = self.cluster.redis.address.split(":")
        text = subprocess.run(["redis-cli", "-h", host, "-p", port, "info", "commandstats"], capture_output=True,
                              text=True, check=True).stdout
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in text.splitlines()
                   if line.startswith("cmdstat_xadd"))

    def wait_empty(self, timeout=60):
        """Until the gateways have no session any more."""
        deadline = time.monotonic() + timeout
        while sum(self.metric(d, "herald_gateway_sessions") for d in self.cluster.of("gateway")
                  if d.process.is_alive()) > 0:
            if time.monotonic() > deadline:
                raise BenchError("sessions remain though their clients have gone")
            time.sleep(0.05)

    def down(self):
        self.cluster.down()
        self.folder.cleanup()
