"""`"devices":"each"`: a copy, an acknowledgement and a mailbox for each known device."""

import pytest

pytestmark = pytest.mark.core


def outcomes_of(world, sent, count):
    found = world.tail("herald.outcome").wait_json(lambda o: o["id"] == sent, count)
    return {o.get("device", ""): o["outcome"] for o in found}


def test_two_devices_online_one_gets_it_later(world, user):
    world.tail("herald.outcome")
    name = user()
    phone, laptop = world.connect(name, "phone"), world.connect(name, "laptop", gateway=1)
    world.connect(name, "tv").close()  # known from now on
    wait_route_gone(world, name, "tv")
    sent = [world.push({"user": name, "devices": "each"}, i, outcome=True) for i in range(3)]
    for device in (phone, laptop):
        device.push(sent[-1])
        assert [m["id"] for m in device.pushes()] == sent
    for one in sent:
        assert outcomes_of(world, one, 3) == {"phone": "acked", "laptop": "acked", "tv": "stored"}
    assert world.redis_cli("XLEN", f"herald:box:{{{name}}}:tv") == "3"
    assert world.redis_cli("EXISTS", f"herald:box:{{{name}}}") == "0"
    tv = world.connect(name, "tv", gateway=1)
    tv.push(sent[-1])
    assert [m["id"] for m in tv.pushes()] == sent
    last = world.push({"user": name}, "once more, live")
    for device in (phone, laptop, tv):
        device.push(last)
    assert [m["id"] for m in phone.pushes()] == sent + [last]


def wait_route_gone(world, name, device):
    import time
    deadline = time.monotonic() + 10
    while world.redis_cli("HEXISTS", f"herald:route:{{{name}}}", device) != "0":
        assert time.monotonic() < deadline


def test_one_silent_device_does_not_hide_it_from_the_other(world, user):
    world.tail("herald.outcome")
    name = user()
    good, silent = world.connect(name, "good"), world.connect(name, "silent", gateway=1, ack=False)
    sent = world.push({"user": name, "devices": "each"}, outcome=True)
    good.push(sent), silent.push(sent)
    assert outcomes_of(world, sent, 2) == {"good": "acked", "silent": "stored"}
    silent.close()
    assert world.connect(name, "silent").push(sent)["content"] == "hello"


def test_user_without_devices(world, user):
    world.tail("herald.outcome")
    name = user()
    sent = world.push({"user": name, "devices": "each"}, outcome=True)
    assert outcomes_of(world, sent, 1) == {"": "stored"}
    assert world.redis_cli("XLEN", f"herald:box:{{{name}}}") == "1"
    world.connect(name, "first").push(sent)


def test_order_with_pushes_to_one_device(world, user):
    name = user()
    phone = world.connect(name, "phone")
    ids = [world.push({"user": name, **({"devices": "each"} if i % 3 == 0 else {"device": "phone"})}, i, flush=False)
           for i in range(60)]
    world.pusher.flush()
    phone.push(ids[-1])
    assert [m["id"] for m in phone.pushes()] == ids
