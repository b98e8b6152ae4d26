"""Redis as the runner knows it: what its mailboxes hold, its disk, its replica. Where the run may mount (root, in a mount
namespace of its own), Redis' folder is a small disk that can be filled."""

import os
import shutil
import socket
import subprocess
import time

import redis

import network
from process import Process, wait_until

DISK_MB = 192

READ_AND_FLUSH = """
local all = {}
for _, key in ipairs(redis.call('KEYS', 'herald:box:*')) do
    all[#all + 1] = {key, redis.call('XRANGE', key, '-', '+')}
end
if ARGV[1] == 'flush' then redis.call('FLUSHALL') end
return all
"""


def id_of_entry(packed):
    """Field 1 (id) of a packed herald.v1.Delivery."""
    assert packed[0] == 0x0A, packed[:8]
    length, at = packed[1], 2
    if length & 0x80:
        length, at = (length & 0x7F) | packed[2] << 7, 3
    return packed[at:at + length].decode()


def read_boxes(client, what="look"):
    """{(user, device or ""): ids in order}"""
    found = {}
    for key, entries in client.eval(READ_AND_FLUSH, 0, what):
        user, _, device = key.decode()[len("herald:box:{"):].partition("}")
        found[user, device.lstrip(":")] = [id_of_entry(fields[1]) for _, fields in entries]
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def with_options(argv, **options):
    """The same command with other values of --name."""
    argv = list(argv)
    for name, value in options.items():
        argv[argv.index("--" + name) + 1] = str(value)
    return argv


class Store:
    def __init__(self, stage):
        self.stage, self.backend = stage, stage.cluster.redis
        self.home, self.port = os.path.join(stage.folder, "redis"), int(self.backend.address.split(":")[1])
        self.folder, self.replicas = self.home, 0
        if network.can_mount():
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "herald-chaos", self.home], check=True)
        self.backend.process.argv += ["--auto-aof-rewrite-min-size", "16mb", "--repl-diskless-sync-delay", "0"]

    def client(self, port=None):
        return redis.Redis("127.0.0.1", port or self.port, socket_timeout=10)

    # --- the disk ---

    def fill(self):
        """Until nothing more goes in."""
        with open(os.path.join(self.home, "ballast"), "ab", buffering=0) as ballast:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        ballast.write(b"x" * size)
                except OSError:
                    pass

    def empty(self):
        os.unlink(os.path.join(self.home, "ballast"))

    # --- the replica ---

    def add_replica(self):
        """A second Redis that follows the first, with a folder, a log and an AOF of its own. None when it is not in step in time."""
        self.replicas += 1
        folder = os.path.join(self.home, f"replica-{self.replicas}")
        os.makedirs(folder)
        old = self.backend.process
        port = free_port()
        replica = Process("redis", with_options(old.argv, port=port, dir=folder) + ["--replicaof", "127.0.0.1", str(self.port)],
                          old.log, env=dict(old.env))
        replica.folder, replica.port = folder, port
        self.stage.by_supervisor(replica.start)
        try:
            wait_until(lambda: self._is_in_step(port), "replica", 15, replica.is_alive)
        except Exception:
            self.discard(replica)
            return None
        return replica

    def _is_in_step(self, port):
        try:
            info = self.client(port).info()
        except redis.RedisError:
            return False
        return info.get("role") == "slave" and info.get("master_link_status") == "up" and not info["loading"] and \
            not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"] and info["aof_enabled"]

    def discard(self, replica):
        replica.kill()
        shutil.rmtree(replica.folder, ignore_errors=True)

    def boxes_of_the_dead(self):
        """What the first had when it died: its own AOF, read by a Redis that nobody else knows."""
        port, process = free_port(), self.backend.process
        reader = Process("redis-reader", with_options(process.argv, port=port, dir=self.folder), process.log + ".reader",
                         env=dict(process.env))
        reader.start()
        try:
            wait_until(lambda: self._answers(port), "what the dead Redis left", 20, reader.is_alive)
            return read_boxes(self.client(port))
        finally:
            reader.kill()

    def _answers(self, port):
        try:
            return self.client(port).ping()
        except redis.RedisError:
            return False

    def promote(self, replica):
        """The replica is the master from now on, at the old one's address. What replication had not brought: {box: ids}.
        It starts again for that, with its own AOF: Redis 7.0.15 spoils the AOF of a replica that was promoted without, when
        the disk is full later."""
        before = self.boxes_of_the_dead()
        client = self.client(replica.port)
        client.execute_command("REPLICAOF", "NO", "ONE")
        after = read_boxes(client)
        replica.stop()
        old, self.folder = self.folder, replica.folder
        replica.argv = with_options(replica.argv[:replica.argv.index("--replicaof")], port=self.port)
        self.backend.process = replica
        self.stage.start_again("redis")
        shutil.rmtree(os.path.join(old, "appendonlydir"), ignore_errors=True)
        return {box: lost for box, ids in before.items() if (lost := [i for i in ids if i not in after.get(box, ())])}

    # --- looking ---

    def boxes(self):
        return read_boxes(self.client())

    def flush(self):
        """FLUSHALL, in one script with reading what the mailboxes held: no append can come in between."""
        return read_boxes(self.client(), "flush")

    def knows_devices(self, user, devices):
        return set(devices) <= {name.decode() for name in self.client().hkeys("herald:devices:{" + user + "}")}
