"""Real processes: Herald's daemons, redis-server, Apache Kafka. One cluster serves all tests that harm nobody; tests that
kill things start their own."""

import itertools
import json
import os
import re
import subprocess
import sys
import uuid

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "deploy", "local")]

from client import Client  # noqa: E402
from cluster import Cluster, free_port_offset  # noqa: E402
from kafka_io import Pusher, Tail  # noqa: E402
from process import StartError  # noqa: E402

FAST = {"router.ack_wait": "2s"}


def pytest_configure(config):
    config.addinivalue_line("markers", "core: repeated under the sanitizers")


class World:
    """A cluster and the ways in."""

    def __init__(self, folder, **options):
        assignments = dict(FAST, **options.pop("assignments", {}))
        options.setdefault("broker", "kafka")
        self.cluster = Cluster(folder, port_offset=free_port_offset(), assignments=assignments, **options)
        self.tails, self.clients = {}, []
        self.tokens = {}
        try:
            self.cluster.up()
        except StartError:
            self.cluster.down()
            raise
        self.pusher = Pusher(self.cluster.broker.address)
        self.push = self.pusher.push

    def url(self, gateway=0):
        return self.cluster.of("gateway")[gateway].settings["ws.url"]

    @property
    def urls(self):
        return [d.settings["ws.url"] for d in self.cluster.of("gateway")]

    def registry(self, i=0):
        return f"http://127.0.0.1:{self.cluster.of('registry')[i].admin_port}"

    def token(self, user, device=None):
        if (user, device) not in self.tokens:
            self.tokens[user, device] = self.cluster.token(user, device)
        return self.tokens[user, device]

    def connect(self, user, device="d1", gateway=0, **options):
        client = Client(self.url(gateway), self.token(user), device, **options).authenticated()
        self.clients.append(client)
        return client

    def tail(self, topic):
        if topic not in self.tails:
            self.tails[topic] = Tail(self.cluster.broker.address, topic)
        return self.tails[topic]

    def redis_cli(self, *words):
        host, port = self.cluster.redis.address.split(":")
        return subprocess.run(["redis-cli", "-h", host, "-p", port, *words], capture_output=True, text=True,
                              check=True).stdout.strip()

    def ctl(self, *words, check=True):
        argv = [os.path.join(self.cluster.programs, "heraldctl"), "--registry", self.registry(), *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{words}: {done.returncode} {done.stderr}"
        return done

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "--json").stdout)

    def close_clients(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def down(self):
        self.close_clients()
        for tail in self.tails.values():
            tail.close()
        self.cluster.down()
        check_logs(self.cluster)


def check_logs(cluster):
    """No sanitizer report, no failed CHECK, and no worker that died of a fault of its own, in any daemon's log."""
    for daemon in cluster.daemons:
        with open(daemon.process.log, errors="replace") as log:
            text = log.read()
        for bad in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "CHECK failed", "check failed"):
            assert bad not in text, f"{daemon.name}: {bad}\n{text[-6000:]}"
        died = re.search(r'msg="worker ended".* signal=(4|6|7|8|11)\b', text)
        assert not died, f"{daemon.name}: {died[0]}\n{text[:died.end()][-3000:]}"


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("cluster"), gateways=2, workers=2, routers=2, registries=2)
    yield world
    world.down()


@pytest.fixture
def world(shared_world):
    yield shared_world
    shared_world.close_clients()


@pytest.fixture
def user():
    """A user id that no other test has."""
    numbers, prefix = itertools.count(), uuid.uuid4().hex[:8]
    return lambda: f"u{prefix}-{next(numbers)}"
