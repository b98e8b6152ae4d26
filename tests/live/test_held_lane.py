"""A lane that is held up until its router has stored what is on it, and the session has read the mailbox: what then arrives by
the lane, older than that, does not reach the client."""

from urllib.request import urlopen

import pytest

from conftest import World
from holding import hold_gateway, restart
from test_registry import wait_for


@pytest.fixture
def held(tmp_path):
    world = World(tmp_path, gateways=1, workers=1, routers=1, registries=1)
    # pokes are held, too: the session looks at its mailbox when it looks at its route
    world.to_gateway = hold_gateway(world.cluster.of("gateway")[0], **{"route.ttl": "12s"})
    restart(world.cluster.of("router")[0], **{"router.ack_wait": "2s"})
    yield world
    world.down()
    world.to_gateway.close()


def count(world, line):
    with urlopen(f"http://127.0.0.1:{world.cluster.of('gateway')[0].admin_port}/metrics", timeout=5) as response:
        return sum(float(text.rsplit(" ", 1)[1]) for text in response.read().decode().splitlines() if text.startswith(line))


def test_what_gave_way_in_the_mailbox_does_not_come_later(held, user):
    name = user()
    client = held.connect(name)
    first = held.push({"user": name}, "first")
    client.push(first, timeout=30)
    held.to_gateway.hold(b'"held', sender=b"rt1-r0")
    held.push({"user": name}, "held 1", collapse="score")
    held.to_gateway.wait_held(marker=b"held 1")  # it has left the router: there it does not give way
    newest = held.push({"user": name}, "held 2", collapse="score")
    held.to_gateway.wait_held(marker=b"held 2")
    client.push(newest, timeout=30)  # by the mailbox
    wait_for(lambda: held.redis_cli("EXISTS", f"herald:box:{{{name}}}") == "0", 20, "the mailbox is empty")
    wait_for(lambda: count(held, "herald_gateway_sessions_draining") == 0, 20, "the session is live again")
    held.to_gateway.release()
    wait_for(lambda: count(held, 'herald_gateway_pushes_refused_total{reason="overtaken"}') == 2, 20, "both refused")
    last = held.push({"user": name}, "last")
    client.push(last, timeout=30)
    assert [m["id"] for m in client.pushes()] == [first, newest, last]
