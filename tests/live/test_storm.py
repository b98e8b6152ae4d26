"""Many clients at once: some are told to come later, all get in, nothing is lost, and who is there is served meanwhile."""

import re
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import InvalidStatus

from client import Client
from conftest import World

MANY, BURST, RATE, RETRY_MAX = 60, 15, 20, 3
REGISTRATIONS = 2


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("storm"), gateways=1, workers=1, routers=1, registries=1, broker="embedded", assignments={
        "limit.connect_rate": RATE, "limit.connect_burst": BURST, "limit.retry_after_max": f"{RETRY_MAX}s",
        "route.registrations_max": REGISTRATIONS})
    yield world
    world.down()


def numbers(world):
    """The gateway's metrics: name, or name{label=value} without the slot -> number."""
    port = world.cluster.of("gateway")[0].admin_port
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        lines = [line for line in response.read().decode().splitlines() if not line.startswith("#")]
    return {re.sub(r'\{\}|,?slot="\d+",?', "", name).replace("{}", ""): float(value)
            for name, value in (line.rsplit(" ", 1) for line in lines)}


class Comer:
    """A client that is sent away until it is let in."""

    def __init__(self, world, name, deadline):
        self.waits, self.client = [], None
        while self.client is None:
            assert time.monotonic() < deadline, f"{name} was not let in; told to wait {self.waits}"
            try:
                self.client = Client(world.url(), world.token(name), "d1").authenticated()
            except InvalidStatus as refused:
                assert refused.response.status_code == 503
                self.waits.append(int(refused.response.headers["Retry-After"]))
                time.sleep(self.waits[-1])  # what it was asked to do


class Watch(threading.Thread):
    """Looks at a gauge again and again, and keeps the highest value."""

    def __init__(self, world, name):
        super().__init__(daemon=True)
        self.world, self.name, self.highest, self.done = world, name, 0, threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(0.02):
            self.highest = max(self.highest, numbers(self.world)[self.name])

    def end(self):
        self.done.set()
        self.join(10)
        return self.highest


def test_beyond_the_bucket_they_come_later(storm, user):
    before = numbers(storm)
    there = [storm.connect(user()) for _ in range(2)]
    names = [user() for _ in range(MANY)]
    for name in names:
        storm.token(name)
    waiting = {name: storm.push({"user": name}, "for you") for name in names}  # into their mailboxes
    sent, over = [], threading.Event()

    def keep_pushing():
        while not over.wait(0.01):
            sent.append(storm.push({"users": [c.messages.snapshot()[0]["userId"] for c in there]}, "still there?", key="there"))

    pushing = threading.Thread(target=keep_pushing, daemon=True)
    pushing.start()
    deadline = time.monotonic() + 60
    with ThreadPoolExecutor(MANY) as pool:
        comers = list(pool.map(lambda name: Comer(storm, name, deadline), names))
    in_storm = len(sent)
    over.set()
    pushing.join(10)

    waits = [wait for comer in comers for wait in comer.waits]
    assert waits, "nobody was sent away"
    assert all(1 <= wait <= RETRY_MAX for wait in waits)
    found = numbers(storm)
    for name in ('herald_gateway_connections_refused_total{reason="rate"}', 'herald_gateway_http_refused_total{status="503"}'):
        assert found[name] - before[name] == len(waits)
    assert found["herald_gateway_sessions"] - before["herald_gateway_sessions"] == MANY + len(there)
    for name, comer in zip(names, comers):
        comer.client.push(waiting[name])
    assert in_storm > 0
    for client in there:
        for message_id in sent:
            client.push(message_id, timeout=20)
        assert [m["id"] for m in client.pushes()] == sent  # in order, none twice
    for comer in comers:
        assert [m["id"] for m in comer.client.pushes()] == [waiting[comer.client.messages.snapshot()[0]["userId"]]]
        comer.client.close()


def test_registrations_under_way_are_bounded(storm, user):
    names = [user() for _ in range(BURST - 2)]
    for name in names:
        storm.token(name)
    watch = Watch(storm, "herald_gateway_route_registrations")
    storm.redis_cli("CLIENT", "PAUSE", "1000", "ALL")  # they pile up
    deadline = time.monotonic() + 60
    with ThreadPoolExecutor(len(names)) as pool:
        comers = list(pool.map(lambda name: Comer(storm, name, deadline), names))
    assert watch.end() <= REGISTRATIONS
    found = numbers(storm)
    assert found["herald_gateway_route_registrations_deferred_total"] > 0
    assert found["herald_gateway_route_registrations_waiting"] == 0
    for name, comer in zip(names, comers):
        comer.client.push(storm.push({"user": name}, "hello"), timeout=20)  # the route is there
        comer.client.close()
