"""One client in ten does not read: what it holds is bounded, and the others get everything."""

from slow import abandon, connect_small
from test_canary import metrics

LARGE = "x" * 60000  # tens of them fill the kernel's buffers, and then the queues of the gateway
KERNEL_MAX = 400000
CLIENTS, SLOW, ROUNDS = 20, 2, 60
HELD_MAX = (1 << 20) + (512 << 10) + (256 << 10)  # limit.queue_bytes, session.backlog_bytes, session.unwritten_max


def summed(world, name):
    return sum(value for daemon in world.cluster.of("gateway") for key, value in metrics(daemon).items()
               if key.split("{")[0] == name)


def test_the_others_get_everything(world, user):
    names, key, outcomes = [user() for _ in range(CLIENTS)], user(), world.tail("herald.outcome")
    slow = {name: connect_small(world, name) for name in names[:SLOW]}
    others = {name: world.connect(name, gateway=i % 2) for i, name in enumerate(names[SLOW:])}
    volatile, durable, most = [], [], 0
    for i in range(ROUNDS):
        volatile.append(world.push({"users": names}, LARGE, key=key, flush=False, outcome=True, **{"class": "volatile"}))
        durable.append(world.push({"users": names}, i, key=key, flush=False, **{"class": "durable"}))
        if i % 10 == 0:
            most = max(most, summed(world, "herald_gateway_ws_queued_bytes"))
    world.pusher.flush()
    for client in others.values():
        client.push(durable[-1], timeout=60)
        client.push(volatile[-1], timeout=60)
        got = [m["id"] for m in client.pushes()]
        assert [i for i in got if i in durable] == durable
        assert [i for i in got if i in volatile] == volatile
    most = max(most, summed(world, "herald_gateway_ws_queued_bytes"))
    assert most <= SLOW * HELD_MAX
    told = outcomes.wait_json(lambda o: o["id"] in volatile and o["user"] in slow and o["outcome"] == "dropped")
    assert told[0]["reason"] in ("slow", "timeout", "closed", "offline")
    for name in slow:  # the kernel takes what its buffers and ws.tcp_notsent_lowat let it, whatever the system's limits are
        mine = outcomes.wait_json(lambda o: o["id"] in volatile and o["user"] == name, ROUNDS, 30)
        assert 1 <= sum(o["outcome"] == "written" for o in mine) <= KERNEL_MAX // len(LARGE)
    for name, ws in slow.items():
        abandon(ws)
        again = world.connect(name, "d")
        again.push(durable[-1], timeout=60)
        assert [m["id"] for m in again.pushes() if m["id"] in durable] == durable
