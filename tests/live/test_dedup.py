"""The same id twice reaches a user once; a record that is read again is not taken for a duplicate."""

import time

import pytest

from conftest import World


@pytest.mark.core
def test_same_id_is_pushed_once(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    client = world.connect(name)
    first = world.push({"user": name}, 1, id=f"same-{name}", outcome=True)
    client.push(first)
    acked = outcomes.wait_json(lambda o: o["id"] == first)[0]
    world.push({"user": name}, 2, id=first, outcome=True)
    last = world.push({"user": name}, 3)
    client.push(last)
    assert [m["id"] for m in client.pushes()] == [first, last]
    found = {o["outcome"]: o for o in outcomes.wait_json(lambda o: o["id"] == first, 2)}
    assert set(found) == {"acked", "duplicate"}
    assert found["duplicate"]["reason"] == acked["offset"] != found["duplicate"]["offset"]


def test_same_id_in_the_mailbox_once(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    ids = [world.push({"user": name}, i, id=f"{i % 3}-{name}", outcome=True) for i in range(6)]
    outcomes.wait_json(lambda o: o["id"] in ids, 6)
    client = world.connect(name)
    end = world.push({"user": name}, "end")
    client.push(end)
    assert [m["id"] for m in client.pushes()] == ids[:3] + [end]


def test_list_targets_are_looked_at_alone(world, user):
    outcomes, a, b = world.tail("herald.outcome"), user(), user()
    clients = {name: world.connect(name) for name in (a, b)}
    sent = world.push({"user": a}, "to one", id=f"list-{a}", outcome=True)
    clients[a].push(sent)
    world.push({"users": [a, b]}, "to both", key="list", id=sent, outcome=True)
    assert clients[b].push(sent)["content"] == "to both"
    found = outcomes.wait_json(lambda o: o["id"] == sent, 3)
    assert sorted((o["user"] == a, o["outcome"]) for o in found) == [(False, "acked"), (True, "acked"), (True, "duplicate")]
    assert len(clients[a].pushes()) == 1


def test_volatile_with_the_same_id_is_pushed_again(world, user):
    name = user()
    client = world.connect(name)
    for _ in range(2):
        world.push({"user": name}, id=f"v-{name}", **{"class": "volatile"})
    client.messages.wait(lambda m: m.get("id") == f"v-{name}", 2)


@pytest.fixture
def lone(tmp_path):
    """One router, which waits long for acknowledgements."""
    world = World(tmp_path, gateways=1, workers=1, routers=1, registries=1, assignments={"router.ack_wait": "60s"})
    yield world
    world.down()


def test_read_again_after_a_kill_is_no_duplicate(lone, user):
    outcomes, name = lone.tail("herald.outcome"), user()
    silent = lone.connect(name, ack=False)
    sent = lone.push({"user": name}, "claimed, pushed, not acknowledged", id=f"again-{name}", outcome=True)
    silent.push(sent, timeout=30)  # the topic was just made
    assert lone.redis_cli("GET", f"herald:dedup:{{{name}}}:{sent}").startswith("herald.push/")
    router = lone.cluster.of("router")[0]
    router.process.kill()
    silent.close()
    client = lone.connect(name)
    router.start_ready()
    client.push(sent, timeout=40)  # the dead router's place in the group has to run out first
    found = outcomes.wait_json(lambda o: o["id"] == sent)
    assert [o["outcome"] for o in found] == ["acked"]


def test_redis_away(lone, user):
    """Without Redis messages with ids go on to users who are known; what comes twice is for the client to see."""
    name = user()
    client = lone.connect(name)
    client.push(lone.push({"user": name}, "makes the route known"), timeout=30)  # the topic was just made
    lone.cluster.redis.process.stop()
    started = time.monotonic()
    client.push(lone.push({"user": name}, id=f"away-{name}"))
    assert time.monotonic() - started < 5
    lone.cluster.redis.process.start()
