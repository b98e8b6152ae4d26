"""Clients that acknowledge late, in their own order, or never: what they cost is bounded, and nobody else waits for them."""

import re
import time
from urllib.request import urlopen

import pytest

pytestmark = pytest.mark.core

WINDOW = 256  # session.ack_window


def gauge(world, name):
    """Summed over all workers."""
    total = 0
    for gateway in world.cluster.of("gateway"):
        text = urlopen(f"http://127.0.0.1:{gateway.admin_port}/metrics", timeout=5).read().decode()
        total += sum(int(n) for n in re.findall(rf"^{name}(?:{{[^}}]*}})? (\d+)$", text, re.MULTILINE))
    return total


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def test_client_that_never_acknowledges(world, user):
    """All in one partition, so that whoever holds it holds everybody."""
    outcomes, key = world.tail("herald.outcome"), user()
    silent_name, others = user(), [user() for _ in range(6)]
    clients = {name: world.connect(name) for name in others}
    before = gauge(world, "herald_gateway_targets_pending")
    silent = world.connect(silent_name, ack=False)
    sent_at, sent = {}, {name: [] for name in others}
    flood = [world.push({"user": silent_name}, i, key=key, outcome=True, flush=False) for i in range(WINDOW + 150)]
    world.pusher.flush()
    started = time.time()
    while time.time() < started + 5:  # beyond the ack wait of 2 s
        for name in others:
            now = time.time()
            sent[name].append(world.push({"user": name}, key=key, flush=False))
            sent_at[sent[name][-1]] = now
        world.pusher.producer.poll(0)
        time.sleep(0.02)
    world.pusher.flush()
    latencies = []
    for name, client in clients.items():
        client.push(sent[name][-1])
        assert [m["id"] for m in client.pushes()] == sent[name]
        latencies += [m["_at"] - sent_at[m["id"]] for m in client.pushes()]
    assert percentile(latencies, 0.99) < 1, f"p99 {percentile(latencies, 0.99)} s"
    stored = outcomes.wait_json(lambda o: o["id"] in flood and o["outcome"] == "stored", len(flood))
    assert len(stored) == len(flood)
    assert len(silent.pushes()) == WINDOW  # and no more until it acknowledges
    deadline = time.monotonic() + 10
    while gauge(world, "herald_gateway_targets_pending") - before > WINDOW:  # but for what others have under way
        assert time.monotonic() < deadline
        time.sleep(0.02)
    silent.close()
    again = world.connect(silent_name, gateway=1)
    again.push(flood[-1], timeout=30)
    assert [m["id"] for m in again.pushes()] == flood


def test_window_opens_with_acknowledgements(world, user):
    name = user()
    client = world.connect(name, ack=False)
    ids = [world.push({"user": name}, i, flush=False) for i in range(WINDOW + 60)]
    world.pusher.flush()
    client.messages.wait(lambda m: m.get("type") == "push", WINDOW, 20)
    client.ack = True
    client.send(type="ack", seq=WINDOW)
    client.push(ids[-1], timeout=20)
    first_seen = list(dict.fromkeys(m["id"] for m in client.pushes()))
    assert first_seen == ids
    seqs = [m["seq"] for m in client.pushes()]
    assert seqs == list(range(1, len(seqs) + 1))


def test_acknowledged_by_id_out_of_order(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    client = world.connect(name, ack=False)
    first, second, third = ids = [world.push({"user": name}, i, outcome=True) for i in range(3)]
    client.push(third)
    client.send(type="ack", id="nobody knows it")
    client.send(type="ack", id=third)
    got = outcomes.wait_json(lambda o: o["id"] in ids)
    assert [(o["id"], o["outcome"], o["seq"]) for o in got] == [(third, "acked", 3)]
    client.send(type="ack", id=first)
    outcomes.wait_json(lambda o: o["id"] == first and o["outcome"] == "acked" and o["seq"] == 1)
    outcomes.wait_json(lambda o: o["id"] == second and o["outcome"] == "stored")  # after the ack wait
    again = client.messages.wait(lambda m: m.get("id") == second, 2)[1]
    assert again["seq"] == 4
    client.send(type="ack", id=second)
    got = outcomes.wait_json(lambda o: o["id"] == second and o["outcome"] == "acked")[0]
    assert got["reason"] == "mailbox" and got["seq"] == 4
    client.ack = True
    client.push(world.push({"user": name}, "live again"))
    assert [m["id"] for m in client.pushes() if m["id"] in ids] == ids + [second]
    assert not [m for m in client.messages.snapshot() if m["type"] == "error"]
