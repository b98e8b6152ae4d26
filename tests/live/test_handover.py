"""What still waits in a mailbox after handover.after is published to herald.offline, once."""

import time

import pytest

from conftest import World

OPTIONS = {"handover.enabled": "true", "handover.after": "1500ms"}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("handover"), gateways=1, workers=1, routers=2, assignments=OPTIONS)
    yield world
    world.down()


def of(tail, name):
    return [r for r in tail.values() if r["user"] == name]


def test_an_absent_users_messages_are_handed_over_once(own, user):
    tail, name = own.tail("herald.offline"), user()
    own.connect(name, "phone").close()  # so that it is known
    started = time.time()
    ids = [own.push({"user": name}, content={"n": i}, ttlMs=600000, collapse=f"c{i}", priority="high",
                    **{"from": "orders"}) for i in range(5)]
    records = tail.wait_json(lambda r: r["user"] == name, 5)
    assert [r["id"] for r in records] == ids
    assert time.time() - started >= 1.4  # not at once
    first = records[0]
    assert first["content"] == {"n": 0} and first["from"] == "orders" and first["priority"] == "high"
    assert first["collapse"] == "c0" and 0 < first["ttlMs"] <= 600000
    assert [d["device"] for d in first["devices"]] == ["phone"] and first["devices"][0]["lastSeenMs"] > 0
    later = own.push({"user": name}, content="later")
    tail.wait_json(lambda r: r["id"] == later)
    assert [r["id"] for r in of(tail, name)] == ids + [later]  # the first five not again
    client = own.connect(name, "phone")  # and they are all still there
    assert [m["id"] for m in client.of_type("push", 6)] == ids + [later]


def test_who_comes_in_time_is_not_handed_over(own, user):
    tail, name, other = own.tail("herald.offline"), user(), user()
    missed = own.push({"user": name})
    own.connect(name).push(missed)
    marker = own.push({"user": other})  # stored later: when it is handed over, the first one would have been, too
    tail.wait_json(lambda r: r["id"] == marker)
    assert of(tail, name) == []


def test_survives_the_death_of_a_router(tmp_path, user):
    world = World(tmp_path / "w", gateways=1, workers=1, routers=1,
                  assignments=dict(OPTIONS, **{"handover.after": "4s"}))
    try:
        outcomes, offline, name = world.tail("herald.outcome"), world.tail("herald.offline"), user()
        sent = world.push({"user": name}, outcome=True)
        outcomes.wait_json(lambda r: r["id"] == sent and r["outcome"] == "stored")
        router = world.cluster.of("router")[0]
        router.process.kill()
        router.start()
        assert offline.wait_json(lambda r: r["id"] == sent, timeout=40)
        assert len(of(offline, name)) == 1
    finally:
        world.down()
