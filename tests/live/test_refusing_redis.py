"""A Redis that is there, but refuses writes (a full disk, too few replicas, no memory)."""

import time

import pytest

from conftest import World


@pytest.fixture
def own(tmp_path):
    world = World(tmp_path, gateways=1, workers=1, routers=1)
    yield world
    world.redis_cli("CONFIG", "SET", "min-replicas-to-write", "0")
    world.down()


def workers(world):
    pid = world.cluster.of("gateway")[0].process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return children.read().split()


def test_acknowledged_entries_are_removed_later(own, user):
    name, alive = user(), workers(own)
    own.tail("herald.outcome")
    sent = [own.push({"user": name}, i, outcome=True) for i in range(5)]
    own.tail("herald.outcome").wait_json(lambda o: o["id"] in sent and o["outcome"] == "stored", len(sent))
    client = own.connect(name, ack=False)
    seq = client.push(sent[-1])["seq"]
    own.redis_cli("CONFIG", "SET", "min-replicas-to-write", "1")
    client.send(type="ack", seq=seq)
    log = own.cluster.of("gateway")[0].process.log
    deadline = time.monotonic() + 20
    while "NOREPLICAS" not in open(log).read():
        assert time.monotonic() < deadline, "Redis refused nothing"
        time.sleep(0.05)
    assert workers(own) == alive
    client.ack = True  # they come again, with the same ids
    own.redis_cli("CONFIG", "SET", "min-replicas-to-write", "0")
    deadline = time.monotonic() + 30
    while own.redis_cli("EXISTS", f"herald:box:{{{name}}}") != "0":
        assert time.monotonic() < deadline, "the mailbox is not emptied"
        time.sleep(0.05)
    assert workers(own) == alive and not client.closed.is_set()
