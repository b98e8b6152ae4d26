"""A record produced to Kafka reaches exactly the sockets it is for."""

import time

import pytest

pytestmark = pytest.mark.core


def test_user_gets_it_and_nobody_else(world, user):
    a, b = user(), user()
    alice, bob = world.connect(a), world.connect(b, gateway=1)
    sent = world.push({"user": a}, {"n": 1})
    got = alice.push(sent)
    assert got["type"] == "push" and got["content"] == {"n": 1} and got["seq"] == 1
    last = world.push({"user": b}, "after")  # whatever was to reach bob by mistake would have come before this
    bob.push(last)
    assert [m["id"] for m in bob.pushes()] == [last]


@pytest.mark.parametrize("gateway", [0, 1])
def test_user_on_either_gateway(world, user, gateway):
    name = user()
    client = world.connect(name, gateway=gateway)
    assert client.push(world.push({"user": name}, "x"))["content"] == "x"


def test_content_arrives_byte_for_byte(world, user):
    name = user()
    client = world.connect(name)
    content = '{"n": 1.10, "big": 12345678901234567890123, "s": "\\u00e9\\ud83d\\ude00 \\/", "x":[ ]}'
    world.pusher.raw(f'{{"id":"raw-{name}","to":{{"user":"{name}"}},"content":{content}}}', name)
    assert content in client.push(f"raw-{name}")["_text"]


def test_one_device_only(world, user):
    name = user()
    phone, laptop = world.connect(name, "phone"), world.connect(name, "laptop", gateway=1)
    sent = world.push({"user": name, "device": "laptop"}, "for the laptop")
    laptop.push(sent)
    last = world.push({"user": name}, "for all")
    phone.push(last)
    assert [m["id"] for m in phone.pushes()] == [last]


def test_every_device_of_the_user(world, user):
    name = user()
    devices = [world.connect(name, f"d{i}", gateway=i % 2) for i in range(4)]
    sent = world.push({"user": name}, "to each device")
    assert all(d.push(sent)["content"] == "to each device" for d in devices)


def test_many_users(world, user):
    names = [user() for _ in range(12)]
    clients = [world.connect(n, gateway=i % 2) for i, n in enumerate(names)]
    other = user()
    bystander = world.connect(other)
    sent = world.push({"users": names}, "to a list", key="list")
    for client in clients:
        assert client.push(sent)["content"] == "to a list"
    world.push({"user": other}, id=f"end-{other}")
    bystander.push(f"end-{other}")
    assert [m["id"] for m in bystander.pushes()] == [f"end-{other}"]


def test_all(world, user):
    clients = [world.connect(user(), gateway=i % 2) for i in range(6)]
    sent = world.push({"all": True}, "to everybody", key="any")
    for client in clients:
        got = client.push(sent)
        assert got["type"] == "broadcast" and "seq" not in got


def test_order_of_a_users_messages(world, user):
    name = user()
    client = world.connect(name)
    ids = [world.push({"user": name}, i, flush=False) for i in range(500)]
    world.pusher.flush()
    client.push(ids[-1], timeout=20)
    assert [m["id"] for m in client.pushes()] == ids
    assert [m["seq"] for m in client.pushes()] == list(range(1, 501))


def test_volatile_has_no_seq(world, user):
    name = user()
    client = world.connect(name)
    assert "seq" not in client.push(world.push({"user": name}, "v", **{"class": "volatile"}))


def test_volatile_to_an_offline_user_is_dropped_and_said(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    sent = world.push({"user": name}, outcome=True, **{"class": "volatile"})
    got = outcomes.wait_json(lambda o: o["id"] == sent)[0]
    assert (got["outcome"], got["reason"]) == ("dropped", "offline")


def test_offline_user_finds_messages_in_order(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    ids = [world.push({"user": name}, i, outcome=True, flush=False) for i in range(50)]
    world.pusher.flush()
    outcomes.wait_json(lambda o: o["id"] in ids and o["outcome"] == "stored", 50)
    assert world.redis_cli("XLEN", f"herald:box:{{{name}}}") == "50"
    client = world.connect(name)
    client.push(ids[-1])
    assert [m["id"] for m in client.pushes()] == ids
    later = world.push({"user": name}, "live again")
    client.push(later)
    wait_gone(world, f"herald:box:{{{name}}}")


def wait_gone(world, key, timeout=10):
    deadline = time.monotonic() + timeout
    while world.redis_cli("EXISTS", key) != "0":
        assert time.monotonic() < deadline, f"{key} still exists"


def test_message_for_an_offline_device_waits_for_that_device(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    world.connect(name, "phone")
    sent = world.push({"user": name, "device": "tv"}, "for the tv", outcome=True)
    outcomes.wait_json(lambda o: o["id"] == sent and o["outcome"] == "stored")
    television = world.connect(name, "tv", gateway=1)
    assert television.push(sent)["content"] == "for the tv"


def test_silent_client_does_not_lose_it(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    silent = world.connect(name, ack=False)
    ids = [world.push({"user": name}, i, outcome=True) for i in range(3)]
    silent.push(ids[-1])
    outcomes.wait_json(lambda o: o["id"] in ids and o["outcome"] == "stored", 3)  # after the ack wait
    silent.close()
    again = world.connect(name, gateway=1)
    again.push(ids[-1])
    assert [m["id"] for m in again.pushes()] == ids


def test_outcome_acked_tells_where_and_how_long(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    client = world.connect(name, "phone")
    sent = world.push({"user": name}, outcome=True)
    client.push(sent)
    got = outcomes.wait_json(lambda o: o["id"] == sent)[0]
    assert got["outcome"] == "acked" and got["user"] == name and got["device"] == "phone" and got["seq"] == 1
    assert got["instance"].startswith("gw1-") and got["router"] and 0 <= got["latencyMs"] < 60000
    assert got["offset"].startswith("herald.push/")


def test_reconnect_to_another_gateway(world, user):
    name = user()
    first = world.connect(name)
    first.push(world.push({"user": name}, 1))
    first.close()
    missed = world.push({"user": name}, "while away")
    second = world.connect(name, gateway=1)
    second.push(missed)
    second.push(world.push({"user": name}, 2))


def test_abrupt_end_keeps_what_was_not_acknowledged(world, user):
    name = user()
    first = world.connect(name, ack=False)
    sent = world.push({"user": name}, "unacknowledged")
    first.push(sent)
    first.abort()
    assert world.connect(name, gateway=1).push(sent)["content"] == "unacknowledged"


def test_stored_then_acked_out_of_the_mailbox(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    ids = [world.push({"user": name}, i, outcome=True) for i in range(3)]
    quiet = world.push({"user": name}, "nobody asked")
    outcomes.wait_json(lambda o: o["id"] in ids and o["outcome"] == "stored", 3)
    time.sleep(1)  # time itself: so that the whole latency is seen to be the whole one
    client = world.connect(name, "phone")
    client.push(quiet)
    acked = outcomes.wait_json(lambda o: o["id"] in ids and o["outcome"] == "acked", 3)
    assert [o["id"] for o in acked] == ids and [o["seq"] for o in acked] == [1, 2, 3]
    for got in acked:
        assert got["user"] == name and got["device"] == "phone" and got["reason"] == "mailbox"
        assert 1000 <= got["latencyMs"] < 60000 and got["instance"].startswith("gw1-")
        assert got["offset"].startswith("herald.push/")
    of_these = [(o["id"], o["outcome"]) for o in outcomes.values() if o["id"] in ids + [quiet]]
    assert of_these == [(i, "stored") for i in ids] + [(i, "acked") for i in ids]


def test_late_ack_is_told_once_whoever_acknowledges(world, user):
    """Two devices get what is in the user's mailbox, both acknowledge: one outcome."""
    outcomes, name = world.tail("herald.outcome"), user()
    silent = [world.connect(name, device, ack=False, gateway=g) for g, device in enumerate(("phone", "web"))]
    sent = world.push({"user": name}, outcome=True)
    outcomes.wait_json(lambda o: o["id"] == sent and o["outcome"] == "stored")  # after the ack wait
    for client in silent:
        again = client.messages.wait(lambda m: m.get("id") == sent, 2)[1]  # out of the mailbox
        client.send(type="ack", seq=again["seq"])
    outcomes.wait_json(lambda o: o["id"] == sent and o["outcome"] == "acked")
    for client in silent:
        client.push(world.push({"user": name, "device": "phone" if client is silent[0] else "web"}))
    done = world.push({"user": user()}, outcome=True)
    outcomes.wait_json(lambda o: o["id"] == done)
    assert [o["outcome"] for o in outcomes.values() if o["id"] == sent] == ["stored", "acked"]


def test_expired_in_the_mailbox(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    sent = world.push({"user": name}, outcome=True, ttlMs=1500)
    last = world.push({"user": name})
    outcomes.wait_json(lambda o: o["id"] == sent and o["outcome"] == "stored")
    time.sleep(1.6)  # time itself
    client = world.connect(name)
    client.push(last)
    got = outcomes.wait_json(lambda o: o["id"] == sent and o["outcome"] == "expired")[0]
    assert got["reason"] == "mailbox" and got["latencyMs"] >= 1500 and "seq" not in got
    assert sent not in [m["id"] for m in client.pushes()]


def test_burst_to_two_devices_is_live_for_both(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    devices = [world.connect(name, "a"), world.connect(name, "b", gateway=1)]
    ids = [world.push({"user": name}, i, outcome=True, flush=False) for i in range(40)]
    world.pusher.flush()
    for device in devices:
        device.push(ids[-1])
        assert [m["id"] for m in device.pushes()] == ids
    got = outcomes.wait_json(lambda o: o["id"] in ids, len(ids))
    assert {o["outcome"] for o in got} == {"acked"}
