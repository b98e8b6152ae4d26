"""A registration that Redis executes long after it was sent does not take the place of a session that began later."""

import time

import pytest

from client import Client
from conftest import World
from holding import Holding
from test_registry import wait_for


@pytest.fixture
def held(tmp_path):
    world = World(tmp_path, gateways=2, workers=1, routers=1, registries=1)
    host, port = world.cluster.redis.address.split(":")
    proxy, gateway = Holding((host, int(port))), world.cluster.of("gateway")[0]
    gateway.process.stop()
    gateway.settings.update({"redis.address": proxy.address, "redis.timeout": "60s"})
    gateway.write_config({})
    gateway.start_ready()
    yield world, proxy
    world.down()
    proxy.close()


def test_late_registration(held, user):
    (world, proxy), name = held, user()
    wait_for(lambda: proxy.count(b"\nTIME\r") >= 2, 10, "the gateway asks for Redis' clock, and has had an answer")
    proxy.hold(b"phone-that-moves")
    older = Client(world.url(0), device="phone-that-moves")
    older.send(type="auth", token=world.token(name))  # with a token in the URL the 101 would wait for Redis, too
    proxy.wait_held()
    newer = world.connect(name, "phone-that-moves", gateway=1)
    time.sleep(0.5)  # time itself: late is what took longer than a quarter of a second
    proxy.release()
    assert older.wait_closed(20) == 4409
    newer.push(world.push({"user": name}, "for the newer one"))
    assert not newer.closed.is_set()
    wait_for(lambda: world.redis_cli("HGET", f"herald:route:{{{name}}}", "phone-that-moves").startswith("gw2-0 "), 5,
             "the route is the newer one's")
