"""`"once":true`: the first device that acknowledges has it taken back on the others."""

import pytest

pytestmark = pytest.mark.core


def cancels(client):
    return [m for m in client.messages.snapshot() if m["type"] == "cancel"]


def test_cancel_on_every_other_device(world, user):
    """Six devices on the workers of two gateways: some share one with the device that acknowledges, some do not."""
    outcomes, name = world.tail("herald.outcome"), user()
    devices = [world.connect(name, f"d{i}", gateway=i % 2, ack=False) for i in range(6)]
    sent = world.push({"user": name}, "ring", once=True, outcome=True)
    seq = [d.push(sent)["seq"] for d in devices]
    devices[3].send(type="ack", seq=seq[3])
    got = outcomes.wait_json(lambda o: o["id"] == sent)[0]
    assert (got["outcome"], got["device"]) == ("acked", "d3")
    for i, device in enumerate(devices):
        if i != 3:
            assert device.of_type("cancel")[0]["id"] == sent
    later = world.push({"user": name}, "later")
    for i, device in enumerate(devices):
        assert device.push(later)["seq"] == seq[i] + 1
        device.send(type="ack", seq=seq[i] + 1)
    assert not cancels(devices[3]) and all(len(cancels(d)) == 1 for d in devices if d is not devices[3])
    assert world.redis_cli("EXISTS", f"herald:box:{{{name}}}") == "0"
    devices[0].close()  # what was taken back does not come again
    again = world.connect(name, "d0", gateway=1)
    last = world.push({"user": name}, "last")
    again.push(last)
    assert [m["id"] for m in again.pushes()] == [last]


def test_without_once_nobody_is_told(world, user):
    name = user()
    first, second = world.connect(name, "a"), world.connect(name, "b", gateway=1, ack=False)
    sent = world.push({"user": name}, "plain")
    first.push(sent), second.push(sent)
    last = world.push({"user": name}, "once", once=True)
    assert second.of_type("cancel")[0]["id"] == last


def test_nobody_acknowledges(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    devices = [world.connect(name, f"d{i}", gateway=i, ack=False) for i in range(2)]
    sent = world.push({"user": name}, "ring", once=True, outcome=True)
    for device in devices:
        device.push(sent)
    assert outcomes.wait_json(lambda o: o["id"] == sent)[0]["outcome"] == "stored"
    for device in devices:
        device.close()
    assert not any(cancels(d) for d in devices)
    world.connect(name, "d0").push(sent)
