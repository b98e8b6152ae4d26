"""No outcome goes missing: Kafka away for longer than its producer tries, a router that dies with outcomes in its hands."""

import signal
import time

import pytest

from conftest import World
from test_canary import metrics
from test_registry import wait_for
from traffic import Traffic


@pytest.fixture
def hasty(tmp_path):
    """The producer gives up after 2 s."""
    world = World(tmp_path, gateways=1, workers=1, routers=1, registries=1, assignments={
        "router.ack_wait": "60s", "router.window_age": "1s",
        "kafka.properties": "session.timeout.ms=6000,message.timeout.ms=2000"})
    yield world
    world.down()


def ids_of(tail):
    return [o["id"] for o in tail.values()]


def test_kafka_is_away_for_longer_than_the_producer_tries(hasty, user):
    outcomes, router = hasty.tail("herald.outcome"), hasty.cluster.of("router")[0]
    names = [user() for _ in range(10)]
    clients = [hasty.connect(name, ack=False) for name in names]
    sent = {name: [hasty.push({"user": name}, i, outcome=True, flush=False) for i in range(30)] for name in names}
    hasty.pusher.flush()
    for client, name in zip(clients, names):
        client.push(sent[name][-1])
    assert not outcomes.values()
    hasty.cluster.broker.process.kill()
    for client in clients:
        client.send(type="ack", seq=30)
    wait_for(lambda: metrics(router)["herald_router_outcomes_pending"] == 300, 20, "outcomes wait for Kafka")
    wait_for(lambda: metrics(router)["herald_router_outcome_retries_total"] >= 300, 30, "the producer has given up on all")
    seen = metrics(router)
    assert seen['herald_router_outcomes_total{outcome="acked"}'] == 300
    assert seen["herald_router_targets_in_flight"] == 0 and seen["herald_router_audit_imbalance"] == 0
    assert seen["herald_router_window_records"] == 300  # their records are not finished
    hasty.cluster.broker.start()
    wanted = {i for ids in sent.values() for i in ids}
    wait_for(lambda: set(ids_of(outcomes)) == wanted, 90, "every message has its outcome")
    assert {o["outcome"] for o in outcomes.values()} <= {"acked", "stored"}  # stored: read again, by then nobody acknowledged
    wait_for(lambda: metrics(router)["herald_router_outcomes_pending"] == 0, 30, "nothing waits")
    assert metrics(router)["herald_router_outcomes_unpublished_total"] == 0
    after = hasty.push({"user": names[0]}, "goes on", outcome=True)
    outcomes.wait_json(lambda o: o["id"] == after, timeout=60)


def test_later_outcome_while_kafka_is_away_and_the_router_dies(hasty, user):
    """Acknowledged out of the mailbox: the gateway keeps what it told until a router has had it published."""
    outcomes, name = hasty.tail("herald.outcome"), user()
    router, gateway = hasty.cluster.of("router")[0], hasty.cluster.of("gateway")[0]
    sent = [hasty.push({"user": name}, i, outcome=True) for i in range(20)]
    outcomes.wait_json(lambda o: o["outcome"] == "stored", 20, timeout=30)
    hasty.cluster.broker.process.kill()
    client = hasty.connect(name)
    client.push(sent[-1])
    wait_for(lambda: hasty.redis_cli("EXISTS", f"herald:box:{{{name}}}") == "0", 20, "the mailbox is gone")
    wait_for(lambda: metrics(router)["herald_router_box_acked_total"] == 20, 20, "the router was told")
    assert metrics(gateway)["herald_gateway_box_fates_pending"] == 20
    router.process.signal(signal.SIGKILL)
    wait_for(lambda: not router.process.is_alive(), 10, "it is dead")
    hasty.cluster.broker.start()
    router.start_ready()
    got = outcomes.wait_json(lambda o: o["outcome"] == "acked" and o.get("reason") == "mailbox", 20, timeout=60)
    assert {o["id"] for o in got} == set(sent)
    wait_for(lambda: metrics(gateway)["herald_gateway_box_fates_pending"] == 0, 30, "the gateway was answered")
    assert metrics(gateway)["herald_gateway_box_fates_lost_total"] == 0


def test_hops(world, user):
    """Where the time went: here the client takes it."""
    outcomes, name, other = world.tail("herald.outcome"), user(), user()
    client = world.connect(name, "phone", ack=False)
    world.connect(other)
    sent = world.push({"user": name}, outcome=True)
    seq, begun = client.push(sent)["seq"], time.monotonic()
    for i in range(20):  # something that takes a while, but not until the ack wait
        again = world.push({"user": other}, i, outcome=True)
        outcomes.wait_json(lambda o, i=again: o["id"] == i)
    took_ms = (time.monotonic() - begun) * 1000
    client.send(type="ack", seq=seq)
    got = outcomes.wait_json(lambda o: o["id"] == sent)[0]
    hops = got["hops"]
    assert got["outcome"] == "acked" and set(hops) == {"kafkaMs", "routerMs", "gatewayMs", "clientMs"}
    assert took_ms - 5 <= hops["clientMs"] <= got["latencyMs"] + 5
    assert sum(hops.values()) <= got["latencyMs"] + 10  # each is cut to whole milliseconds of a loop turn
    volatile = world.push({"user": other}, outcome=True, **{"class": "volatile"})
    assert set(outcomes.wait_json(lambda o: o["id"] == volatile)[0]["hops"]) == {"kafkaMs", "routerMs", "gatewayMs"}
    stored = world.push({"user": user()}, outcome=True)
    assert set(outcomes.wait_json(lambda o: o["id"] == stored)[0]["hops"]) == {"kafkaMs"}


@pytest.fixture
def slow(tmp_path):
    """Outcomes stay in the producer's hands for a second: what dies with a router is many, not few."""
    world = World(tmp_path, gateways=1, workers=1, routers=1, registries=1, assignments={
        "kafka.properties": "session.timeout.ms=6000,linger.ms=1000"})
    yield world
    world.down()


def test_router_dies_with_outcomes_in_its_hands(slow, user):
    outcomes, router = slow.tail("herald.outcome"), slow.cluster.of("router")[0]
    here, away = user(), user()
    client = slow.connect(here)
    client.push(slow.push({"user": here}, "it flows"), timeout=30)
    sent = [slow.push({"user": name}, i, outcome=True) for i in range(250) for name in (here, away)]
    last = slow.push({"user": here}, "last", outcome=True)
    client.push(last)
    wait_for(lambda: metrics(router)["herald_router_targets_in_flight"] == 0, 20, "all have their fate")
    assert metrics(router)["herald_router_outcomes_pending"] > 0
    router.process.signal(signal.SIGKILL)
    wait_for(lambda: not router.process.is_alive(), 10, "it is dead")
    router.start_ready()
    wait_for(lambda: set(ids_of(outcomes)) == {*sent, last}, 90, "every message has its outcome")


def test_polite_stop_leaves_no_outcome_behind(slow, user):
    """Published before the offset is left: the next router has nothing to do again."""
    traffic, outcomes = Traffic(slow, user, users=4).start(), slow.tail("herald.outcome")
    traffic.wait_flowing(30)
    router, name = slow.cluster.of("router")[0], user()
    sent = [slow.push({"user": name}, i, outcome=True) for i in range(50)]
    wait_for(lambda: metrics(router)["herald_router_outcomes_pending"] > 0, 20, "outcomes under way")
    assert router.process.stop() == 0
    router.start_ready()
    wait_for(lambda: set(sent) <= set(ids_of(outcomes)), 60, "every message has its outcome")
    assert traffic.finish(60) > 30
    again = [o for o in outcomes.values() if o["id"] in sent]
    assert len(again) == len(sent)
