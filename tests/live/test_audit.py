"""Accepted = outcomes + abandoned + in flight, in every partition of every router, seen over the whole cluster."""

import json
import time
import urllib.request

import pytest

from conftest import World


def audit(world):
    return json.loads(world.ctl("audit", "--json", check=False).stdout)


def wait_audit(world, matches, timeout=20):
    deadline = time.monotonic() + timeout
    while True:
        seen = audit(world)
        if matches(seen):
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)


def finished(seen, outcome):
    return sum(row["outcomes"].get(outcome, 0) for row in seen["partitions"] if row["partition"] != "canary")


@pytest.mark.core
def test_every_fate_is_accounted_for(world, user):
    before = wait_audit(world, lambda a: a["complete"] and len(a["routers"]) == 2)
    online, offline = user(), user()
    client = world.connect(online)
    for i in range(20):
        world.push({"user": online}, content=i)
        world.push({"user": offline}, content=i)
    world.push({"user": offline}, **{"class": "volatile"})
    world.pusher.raw("{", user())
    client.of_type("push", 20)

    def has_all(a):
        return (finished(a, "acked") >= finished(before, "acked") + 20
                and finished(a, "stored") >= finished(before, "stored") + 20
                and finished(a, "dropped") > finished(before, "dropped")
                and finished(a, "dead") > finished(before, "dead"))

    after = wait_audit(world, has_all)
    assert after["balanced"] and after["complete"] and after["faults"] == []
    assert after["total"]["accepted"] >= before["total"]["accepted"] + 42
    text = world.ctl("audit").stdout
    assert "Balanced" in text and "-r0" in text


def test_each_router_tells(world, user):
    world.connect(name := user()).push(world.push({"user": name}))
    for daemon in world.cluster.of("router"):
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin_port}/audit", timeout=5) as response:
            assert json.load(response)["imbalance"] == 0
    metrics = ""
    for daemon in world.cluster.of("router"):
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin_port}/metrics", timeout=5) as response:
            metrics += response.read().decode()
    assert 'herald_router_partition_finished_total{partition="' in metrics
    assert "herald_router_audit_imbalance 0" in metrics


def test_what_does_not_add_up_is_named(world):
    """A router's accounts, spoilt on their way: there is no real fault to show."""
    row = {"partition": 3, "accepted": 5, "outcomes": {"acked": 3}, "abandoned": 0, "inFlight": 1}
    deadline = time.monotonic() + 20
    while True:
        spoilt = json.dumps({"timestamp": int(time.time() * 1000), "partitions": [row]})
        world.redis_cli("SET", "herald:audit:rt1-r0", spoilt, "PX", "3000")
        done = world.ctl("audit", check=False)
        if done.returncode == 1:
            break
        assert time.monotonic() < deadline
    assert "partition 3 of rt1-r0: accepted 5, but outcomes 3 + abandoned 0 + in flight 1: 1 without a fate" in done.stdout
    with urllib.request.urlopen(world.registry() + "/metrics", timeout=5) as response:
        assert "\nherald_registry_audit_imbalance 1\n" in response.read().decode()
    wait_audit(world, lambda a: a["balanced"])


def test_the_accounts_survive_a_rebalance(tmp_path, user):
    """Silent clients keep messages in flight while a second router takes partitions away from the first."""
    world = World(tmp_path / "w", routers=1, gateways=1, workers=1, assignments={"router.ack_wait": "20s"})
    try:
        names = [user() for _ in range(8)]
        for name in names:
            world.connect(name, ack=False)
        for name in names:
            world.push({"user": name})
        for client in world.clients:
            client.of_type("push")
        wait_audit(world, lambda a: a["total"]["inFlight"] >= 8)
        daemon, _ = world.cluster.add("router")
        daemon.write_config(world.cluster.assignments)
        daemon.start_ready()
        seen = wait_audit(world, lambda a: a["complete"] and len(a["routers"]) == 2 and a["total"]["abandoned"] > 0, 40)
        assert seen["balanced"]
    finally:
        world.down()
