"""A gateway is ready only while messages really come through; canaries are nobody's messages."""

import time
import urllib.request

import pytest

from client import Client
from conftest import World


def metrics(daemon):
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin_port}/metrics", timeout=5) as response:
        lines = [line for line in response.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def wait_for(condition, timeout, what):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("canary"), gateways=1, workers=2, routers=1,
                  assignments={"canary.interval": "300ms", "canary.timeout": "3s"})
    yield world
    world.down()


def test_ready_means_that_one_came_through(own):
    gateway, router = own.cluster.of("gateway")[0], own.cluster.of("router")[0]
    first = metrics(gateway)
    for slot in (0, 1):
        assert first[f'herald_gateway_canaries_total{{slot="{slot}",event="passed"}}'] >= 1
        assert first[f'herald_gateway_canary_latency_seconds_count{{slot="{slot}"}}'] >= 1
    wait_for(lambda: metrics(gateway)['herald_gateway_canaries_total{slot="0",event="passed"}']
             >= first['herald_gateway_canaries_total{slot="0",event="passed"}'] + 3, 10, "canaries go on")
    seen = metrics(router)
    assert seen["herald_router_targets_total"] == 0  # nobody else sent anything
    assert sum(v for k, v in seen.items() if k.startswith("herald_router_outcomes_total")) == 0
    assert seen['herald_router_canary_outcomes_total{outcome="acked"}'] >= 5


def test_not_ready_without_routers(own):
    gateway, router = own.cluster.of("gateway")[0], own.cluster.of("router")[0]
    router.process.stop()
    wait_for(lambda: not gateway.is_ready(), 15, "still ready, though nothing comes through")
    refused = own.ctl("health", f"http://127.0.0.1:{gateway.admin_port}", check=False)
    assert refused.returncode == 1 and "no canary came through" in refused.stderr
    router.start_ready()
    wait_for(gateway.is_ready, 30, "not ready again")
    assert own.ctl("audit").returncode == 0


def test_survives_an_emptied_redis(own):
    gateway = own.cluster.of("gateway")[0]
    own.redis_cli("FLUSHALL")
    passed = metrics(gateway)['herald_gateway_canaries_total{slot="1",event="passed"}']
    wait_for(lambda: metrics(gateway)['herald_gateway_canaries_total{slot="1",event="passed"}'] >= passed + 3, 15,
             "no canaries after a flush")


def test_nobody_is_a_canary(own):
    client = Client(own.url(), own.token("~canary-gw1-0"), "d1")
    assert client.wait_closed() == 4401
    assert client.of_type("auth_response")[0]["code"] == 401
