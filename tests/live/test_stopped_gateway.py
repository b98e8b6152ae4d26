"""One gateway stands still: its lanes fill, and nobody else notices, though all messages share one partition, the window is
small, no registry says that it is dead, and the ack wait is long."""

import os
import signal

import pytest

from conftest import World
from test_canary import metrics, wait_for

USERS, ROUNDS = 4, 400
ACK_WAIT = 60


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("stopped"), gateways=2, workers=2, routers=1, assignments={
        "router.ack_wait": f"{ACK_WAIT}s", "router.result_wait": f"{ACK_WAIT}s", "router.window_records": "1000",
        "lane.silence": "2s", "router.shutdown": "1s"})
    yield world
    world.down()


def workers_of(daemon):
    with open(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children") as children:
        return [int(pid) for pid in children.read().split()]


def total(daemon, name):
    return sum(value for key, value in metrics(daemon).items() if key.startswith(name))


def test_the_others_do_not_notice(own, user):
    world, router = own, own.cluster.of("router")[0]
    outcomes, key = world.tail("herald.outcome"), user()
    stopped, others = [user() for _ in range(USERS)], [user() for _ in range(USERS)]
    theirs = {name: world.connect(name, gateway=0) for name in stopped}
    clients = {name: world.connect(name, gateway=1) for name in others}
    first = {name: world.push({"user": name}, key=key) for name in stopped + others}
    for name, client in (theirs | clients).items():
        client.push(first[name])
    still = workers_of(world.cluster.of("gateway")[0]) + [world.cluster.of("registry")[0].process.pid]
    for pid in still:
        os.kill(pid, signal.SIGSTOP)
    try:
        volatile, durable, sent = set(), {n: [first[n]] for n in stopped}, {n: [first[n]] for n in others}
        for i in range(ROUNDS):
            for away, here in zip(stopped, others):
                volatile.add(world.push({"user": away}, i, key=key, flush=False, outcome=True, **{"class": "volatile"}))
                durable[away].append(world.push({"user": away}, i, key=key, flush=False, outcome=True))
                sent[here].append(world.push({"user": here}, i, key=key, flush=False))
        world.pusher.flush()
        for name, client in clients.items():
            client.push(sent[name][-1], timeout=ACK_WAIT / 2)
            assert [m["id"] for m in client.pushes()] == sent[name]
        stored = {i for ids in durable.values() for i in ids[1:]}
        outcomes.wait_json(lambda o: o["id"] in stored and o["outcome"] == "stored", len(stored), ACK_WAIT / 2)
        dropped = outcomes.wait_json(lambda o: o["id"] in volatile, len(volatile), ACK_WAIT / 2)
        assert {(o["outcome"], o["reason"]) for o in dropped} <= {("dropped", "lane_full"), ("dropped", "gone")}
        assert any(o["reason"] == "lane_full" for o in dropped)
        wait_for(lambda: total(router, "herald_router_records_pending") == 0, 10, "a partition is held up")
        assert total(router, "herald_router_lanes_silent_total") >= 1
        assert total(router, 'herald_router_misses_total{reason="timeout"}') == 0
    finally:
        for pid in still:
            os.kill(pid, signal.SIGCONT)
    for name in stopped:  # whether its connection is still the same or not
        again = world.connect(name, "d1", gateway=1)
        durable[name].append(world.push({"user": name}, "last"))
        again.push(durable[name][-1], timeout=60)
        missing = set(durable[name][1:]) - {m["id"] for m in again.pushes() + theirs[name].pushes()}
        assert not missing, f"{len(missing)} of {len(durable[name])}"
        in_order = list(dict.fromkeys(m["id"] for m in again.pushes()))
        assert in_order == [i for i in durable[name] if i in set(in_order)]
