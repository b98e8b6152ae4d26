"""A router that was stopped for so long that another one has its partitions: when it goes on, what it still had in hand
does no harm. And topics that are made anew, whose offsets begin again."""

import json
import signal

import pytest

from conftest import World
from test_registry import wait_for
from traffic import Traffic


@pytest.fixture(scope="module")
def owned(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("owners"), gateways=1, workers=2, routers=2, registries=1)
    yield world
    world.down()


def partitions_of(world):
    """By router, what Redis knows of who began each partition: {partition: (life, generation)}."""
    keys = [k for k in world.redis_cli("KEYS", "herald:source:*").split() if k]
    return {k: tuple(world.redis_cli("HMGET", k, "life", "generation").split()) for k in keys}


def test_stopped_router_goes_on_late(owned, user):
    traffic = Traffic(owned, user).start()
    offline = [user() for _ in range(8)]
    sent = {name: [] for name in offline}

    def fill(count):
        for i in range(count):
            for name in offline:
                sent[name].append(owned.push({"user": name}, i, flush=False))
        owned.pusher.flush()

    router = owned.cluster.of("router")[0]
    before = partitions_of(owned)
    fill(20)
    router.process.signal(signal.SIGSTOP)
    fill(40)  # half of it is in hand, or on its way, at the stopped one
    wait_for(lambda: partitions_of(owned) != before, 40, "the other router begins its partitions")
    traffic.wait_flowing(200, timeout=60)
    router.process.signal(signal.SIGCONT)
    fill(20)
    traffic.wait_flowing(300, timeout=60)
    assert traffic.finish(90) > 50  # nothing lost, nothing out of order
    for name in offline:
        wait_for(lambda n=name: owned.redis_cli("XLEN", f"herald:box:{{{n}}}") == str(len(sent[n])), 30, "mailbox full")
        client = owned.connect(name)
        client.push(sent[name][-1], timeout=20)
        assert [m["id"] for m in client.pushes()] == sent[name]  # in order, none twice
        client.close()


def test_topic_made_anew(owned, user):
    """Offsets begin again: what is new must not be taken for what the mailbox has had."""
    from confluent_kafka.admin import AdminClient
    outcomes, name = owned.tail("herald.outcome"), user()
    old = [owned.push({"user": name}, i, outcome=True) for i in range(30)]
    found = outcomes.wait_json(lambda o: o["id"] in old, 30)
    partition = found[0]["offset"].rsplit("/", 1)[0]
    wait_for(lambda: int(owned.redis_cli("HGET", f"herald:source:{partition}", "committed") or 0) >= 30, 20, "commit known")
    admin = AdminClient({"bootstrap.servers": owned.cluster.broker.address})
    for future in admin.delete_topics(["herald.push"]).values():
        future.result(30)
    for router in owned.cluster.of("router"):
        router.process.kill()
    for router in owned.cluster.of("router"):
        router.start_ready()
    new = [owned.push({"user": name}, json.dumps(i), outcome=True) for i in range(5)]
    outcomes.wait_json(lambda o: o["id"] in new, 5, timeout=60)
    client = owned.connect(name)
    client.push(new[-1], timeout=30)
    assert [m["id"] for m in client.pushes()] == old + new
