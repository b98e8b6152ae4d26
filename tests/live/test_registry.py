"""Who is alive, what the API and heraldctl say, who leads."""

import json
import time
import urllib.error
import urllib.request

import pytest


def get(base, path):
    with urllib.request.urlopen(base + path, timeout=5) as response:
        return json.load(response)


def wait_for(condition, timeout=10, what="condition"):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.core
def test_instances(world):
    names = {i["instance"] for i in get(world.registry(), "/api/v1/instances")["instances"]}
    assert {"gw1-0", "gw1-1", "gw2-0", "gw2-1"} <= names


@pytest.mark.core
def test_a_user_over_api_and_ctl(world, user):
    name = user()
    world.connect(name, "phone")
    world.connect(name, "laptop", gateway=1)
    for registry in (0, 1):
        got = get(world.registry(registry), f"/api/v1/users/{name}")
        assert got["online"] is True and {d["device"] for d in got["devices"]} == {"phone", "laptop"}
    assert name in world.ctl("user", name).stdout
    assert world.ctl_json("user", name)["online"] is True


def test_presence_of_many(world, user):
    online, offline = user(), user()
    world.connect(online)
    got = {u["user"]: u["online"] for u in get(world.registry(), f"/api/v1/users?ids={online},{offline}")["users"]}
    assert got == {online: True, offline: False}
    assert world.ctl("user", offline, check=False).returncode == 1


def test_counts(world, user):
    def sessions():
        return get(world.registry(), "/api/v1/stats")["cluster"]["sessions"]

    def held():
        """What the gateways themselves say at this moment: other tests' clients may still be going."""
        total = 0
        for gateway in world.cluster.of("gateway"):
            with urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin_port}/metrics", timeout=5) as response:
                lines = response.read().decode().splitlines()
            total += sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("herald_gateway_sessions{"))
        return total

    for i in range(10):
        world.connect(user(), gateway=i % 2)
    wait_for(lambda: 10 <= sessions() == held(), timeout=20, what="sessions counted")
    assert "gw1-0" in world.ctl("instances").stdout
    assert world.ctl("stats").returncode == 0


def test_ctl_exit_codes(world):
    assert world.ctl("nonsense", check=False).returncode == 2
    assert world.ctl("instances", "--registry", "http://127.0.0.1:1", check=False).returncode == 3
    assert "instances" in world.ctl("--help").stdout


def test_pages(world):
    for path, word in (("/", b"Herald"), ("/try", b"WebSocket")):
        with urllib.request.urlopen(world.registry() + path, timeout=5) as response:
            assert word in response.read() and "text/html" in response.headers["Content-Type"]


@pytest.mark.core
def test_push_over_the_try_api(world, user):
    name = user()
    client = world.connect(name)
    body = json.dumps({"to": {"user": name}, "content": "from the page"}).encode()
    request = urllib.request.Request(world.registry() + "/api/v1/push", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as r:
        assert r.status in (200, 202)
    assert client.of_type("push")[0]["content"] == "from the page"


@pytest.mark.core
def test_metrics_of_every_daemon(world, user):
    name = user()
    world.connect(name).push(world.push({"user": name}))
    for daemon in world.cluster.daemons:
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin_port}/metrics", timeout=5) as response:
            text = response.read().decode()
        assert f"herald_{daemon.kind}_" in text and "# TYPE" in text
        assert daemon.is_ready()


def test_unknown_path(world):
    with pytest.raises(urllib.error.HTTPError) as error:
        get(world.registry(), "/api/v1/nothing")
    assert error.value.code == 404
