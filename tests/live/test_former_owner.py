"""What a router sent while it owned a partition, and what arrives when another one has owned it for long: it is refused,
by the gateway and by the mailbox. The bytes are held on their way (holding.py), the router is stopped until its group
has given its partitions away, then the bytes arrive and the router goes on."""

import signal
from urllib.request import urlopen

import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from conftest import World
from holding import Holding, hold_gateway, restart
from test_registry import wait_for

USERS = 16  # each router has half of the 8 partitions: that none of the users is the stopped one's does not happen


class Owned:
    """Two routers; the first is stopped by tests. Its calls to Redis, and what routers send to the gateway, can be held."""

    def __init__(self, folder):
        self.world = World(folder, gateways=1, workers=1, routers=2, registries=1)
        host, port = self.world.cluster.redis.address.split(":")
        self.to_redis = Holding((host, int(port)))
        self.gateway = self.world.cluster.of("gateway")[0]
        self.router = self.world.cluster.of("router")[0]
        self.to_gateway = hold_gateway(self.gateway)
        restart(self.router, **{"redis.address": self.to_redis.address, "redis.timeout": "60s",
                                "router.ack_wait": "60s"})
        self.admin = AdminClient({"bootstrap.servers": self.world.cluster.broker.address})
        self.wait_shared()

    def counter(self, daemon, name):
        with urlopen(f"http://127.0.0.1:{daemon.admin_port}/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def box_len(self, name):
        return int(self.world.redis_cli("XLEN", f"herald:box:{{{name}}}"))

    def wait_shared(self):
        """Until each router has half of the partitions, by what Kafka says of the group."""
        def is_shared():
            group = self.admin.describe_consumer_groups(["herald-router"])["herald-router"].result(10)
            owned = [len(member.assignment.topic_partitions) for member in group.members]
            return group.state == ConsumerGroupState.STABLE and len(owned) == 2 and owned[0] == owned[1]
        wait_for(is_shared, 60, "each router has half of the partitions")

    def go_on(self):
        self.router.process.signal(signal.SIGCONT)
        wait_for(self.router.is_ready, 40, "router ready again")
        self.wait_shared()

    def down(self):
        self.router.process.signal(signal.SIGCONT)
        self.world.down()
        self.to_redis.close()
        self.to_gateway.close()


@pytest.fixture(scope="module")
def owned(tmp_path_factory):
    running = Owned(tmp_path_factory.mktemp("former"))
    yield running
    running.down()


def push_all(world, names, sent, content):
    for name in names:
        sent[name].append(world.push({"user": name}, content, flush=False, outcome=True))
    world.pusher.flush()


def test_late_appends_are_refused(owned, user):
    world, names = owned.world, [user() for _ in range(USERS)]
    sent, outcomes = {name: [] for name in names}, world.tail("herald.outcome")
    stale = owned.counter(owned.router, "herald_router_box_stale_total")
    owned.to_redis.hold(b'"late append"')
    push_all(world, names, sent, "late append")
    owned.to_redis.wait_held()
    owned.router.process.signal(signal.SIGSTOP)
    push_all(world, names, sent, "after it")
    for name in names:
        wait_for(lambda n=name: owned.box_len(n) == 2, 60, "the other router has appended both")
    held = owned.to_redis.held().count(b'"late append"')
    owned.to_redis.release()
    owned.go_on()
    wait_for(lambda: owned.counter(owned.router, "herald_router_box_stale_total") >= stale + held, 20, "all refused")
    push_all(world, names, sent, "the last")
    for name in names:
        wait_for(lambda n=name: owned.box_len(n) == 3, 60, "the last is in the mailbox, and nothing twice")
        client = world.connect(name)
        client.push(sent[name][-1], timeout=20)
        assert [m["id"] for m in client.pushes()] == sent[name]
        client.close()
    ids = {i for name in names for i in sent[name]}
    # at least one each: what was not committed when the woken router joined again is read, and told, once more
    wait_for(lambda: ids <= {o["id"] for o in outcomes.values() if o["outcome"] == "stored"}, 30, "an outcome for each")


def test_late_deliveries_are_refused(owned, user):
    world, names = owned.world, [user() for _ in range(USERS)]
    sent, clients = {name: [] for name in names}, {name: world.connect(name) for name in names}
    old = owned.counter(owned.gateway, "herald_gateway_old_owners_total")
    push_all(world, names, sent, "first")
    for name in names:
        clients[name].push(sent[name][-1], timeout=30)
    owned.to_gateway.hold(b'"late delivery"', sender=b"rt1-r0")
    push_all(world, names, sent, "late delivery")
    owned.to_gateway.wait_held()
    owned.router.process.signal(signal.SIGSTOP)
    push_all(world, names, sent, "after it")
    for name in names:
        clients[name].push(sent[name][-1], timeout=60)  # from the other router
    held = owned.to_gateway.held().count(b'"late delivery"')
    owned.to_gateway.release()
    # or more: a canary may have been among what was held
    wait_for(lambda: owned.counter(owned.gateway, "herald_gateway_old_owners_total") >= old + held, 20, "all refused")
    for name in names:
        assert [m["content"] for m in clients[name].pushes()].count("late delivery") == 1
    owned.go_on()
    push_all(world, names, sent, "the last")
    for name in names:
        clients[name].push(sent[name][-1], timeout=60)
        assert list(dict.fromkeys(m["id"] for m in clients[name].pushes())) == sent[name]
