"""A mailbox that is full: what has to leave, or is not taken, is told where the record asked."""

import pytest

from conftest import World
from test_push import wait_gone


def small(tmp_path_factory, policy):
    options = {"box.count": "5", "box.policy": policy}
    return World(tmp_path_factory.mktemp(policy), gateways=1, workers=1, routers=1, registries=1, assignments=options)


@pytest.fixture(scope="module")
def oldest(tmp_path_factory):
    world = small(tmp_path_factory, "drop-oldest")
    yield world
    world.down()


@pytest.fixture(scope="module")
def newest(tmp_path_factory):
    world = small(tmp_path_factory, "drop-newest")
    yield world
    world.down()


def fill(world, name, count):
    ids = [world.push({"user": name}, i, outcome=True, flush=False) for i in range(count)]
    world.pusher.flush()
    return ids


def told(outcomes, ids, count):
    found = outcomes.wait_json(lambda o: o["id"] in ids, count)
    return {kind: [i for i in ids if any(o["id"] == i and o["outcome"] == kind for o in found)]
            for kind in {o["outcome"] for o in found}}, found


def test_the_oldest_leave_and_are_told(oldest, user):
    outcomes, name = oldest.tail("herald.outcome"), user()
    ids = fill(oldest, name, 12)
    kinds, found = told(outcomes, ids, 12 + 7)
    assert kinds == {"stored": ids, "dropped": ids[:7]}
    dropped = [o for o in found if o["outcome"] == "dropped"]
    assert {o["reason"] for o in dropped} == {"mailbox_full"} and {o["user"] for o in dropped} == {name}
    assert all(o["offset"].startswith("herald.push/") for o in dropped)
    client = oldest.connect(name)
    client.push(ids[-1])
    assert [m["id"] for m in client.pushes()] == ids[7:]


def test_the_newest_are_refused_and_told(newest, user):
    outcomes, name = newest.tail("herald.outcome"), user()
    ids = fill(newest, name, 12)
    kinds, found = told(outcomes, ids, 12)
    assert kinds == {"stored": ids[:5], "dropped": ids[5:]}
    assert {o["reason"] for o in found if o["outcome"] == "dropped"} == {"mailbox_full"}
    client = newest.connect(name)
    client.push(ids[4])
    wait_gone(newest, f"herald:box:{{{name}}}")
    end = newest.push({"user": name}, "end")
    client.push(end)
    assert [m["id"] for m in client.pushes()] == ids[:5] + [end]
