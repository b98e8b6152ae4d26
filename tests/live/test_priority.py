"""Priority where something waits: a client that does not read for a while."""

import time

import pytest

from conftest import World
from slow import connect_small, read_until

LARGE = "x" * 60000  # tens of them fill the kernel's buffers


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Where there is time to send what is to wait, also on a slow machine."""
    world = World(tmp_path_factory.mktemp("priority"), gateways=1, workers=1, routers=1,
                  assignments={"router.ack_wait": "10s", "limit.queue_age": "10m"})
    yield world
    world.down()


def test_high_overtakes_low_that_waits_for_the_connection(own, user):
    world = own
    outcomes, name = world.tail("herald.outcome"), user()
    ws = connect_small(world, name)
    push = {"class": "volatile", "outcome": True}

    def is_full(sent):
        return any(o["id"] in sent and o["outcome"] == "dropped" for o in outcomes.values())

    low, deadline = set(), time.monotonic() + 60
    while not is_full(low):  # until the kernel's buffers and what may wait at the gateway are full
        low.add(world.push({"user": name}, LARGE, priority="low", **push))
        assert time.monotonic() < deadline
    high = [world.push({"user": name}, i, priority="high") for i in range(5)]  # durable
    keyed = [world.push({"user": name}, i, priority="high", collapse="k", outcome=True) for i in range(3)]
    outcomes.wait_json(lambda o: o["id"] in keyed[:2] and o["outcome"] == "dropped", 2)
    other = world.connect(name, "other")
    taken = world.push({"user": name}, "ring", priority="high", once=True)
    other.push(taken, timeout=60)  # once what is out has had its ack wait: the user has moved
    marker = world.push({"user": name}, LARGE, priority="low", **push)
    outcomes.wait_json(lambda o: o["id"] == marker and o["outcome"] in ("dropped", "written"))
    later = world.push({"user": name, "device": "d"}, "the end", priority="low")
    got = [m["id"] for m in read_until(ws, later)]
    assert [i for i in got if i in high] == high
    behind = [i for i in got[got.index(high[0]):] if i in low]
    assert len(behind) >= 3, f"{len(behind)} low ones behind the first high one, of {len(got)}"
    assert not set(keyed[:2]) & set(got)  # they waited, and gave way
    # the last one too, or, if the router had not sent it when the other device came, that one got it by the mailbox
    assert keyed[2] in got or other.push(keyed[2], timeout=30)
    for one in keyed[:2]:
        assert [(o["outcome"], o["reason"]) for o in outcomes.values() if o["id"] == one] == [("dropped", "collapsed")]
    assert taken not in got  # the other device had it first
    ws.close()
