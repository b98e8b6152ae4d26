"""heraldctl, where it does more than print what the API says."""

import json
import time

import pytest

from conftest import World
from test_registry import wait_for


@pytest.mark.core
def test_health(world):
    for daemon in world.cluster.daemons:
        url = f"http://127.0.0.1:{daemon.admin_port}"
        assert world.ctl("health", url + "/readyz").stdout == "ok\n"
        assert world.ctl("health", url).stdout == "ok\n"  # /readyz is what it asks for
        missing = world.ctl("health", url + "/nothing", check=False)
        assert missing.returncode == 1 and "answers 404" in missing.stderr
    nobody = world.ctl("health", "http://127.0.0.1:1/readyz", check=False)
    assert nobody.returncode == 1 and "no answer" in nobody.stderr
    assert world.ctl("health", "https://127.0.0.1:1/", check=False).returncode == 2
    assert world.ctl("health", check=False).returncode == 2


def letters(world, *words):
    done = world.ctl("dlq", "list", "--limit", "200", "--json", *words, check=False)  # 1: there is none
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)["letters"]


def wait_letter(world, name, count=1):
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        found = letters(world, "--filter", f"key={name}")
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{len(found)} dead letters of {name}, not {count}")


@pytest.mark.core
def test_dlq_list_and_show(world, user):
    name = user()
    world.pusher.raw('{"to":{"user":"x"}}', name, headers=[("trace", b"abc"), ("bytes", b"\xff\x00")])
    letter = wait_letter(world, name)[0]
    assert letter["reason"] == "content_missing" and letter["key"] == name
    assert letter["source"].startswith("herald.push/")
    assert letter["replayId"] == letter["source"].replace("/", "-")
    listed = world.ctl("dlq", "list", "--filter", f"key={name}").stdout
    assert "content_missing" in listed and letter["offset"] in listed
    one = world.ctl_json("dlq", "show", letter["offset"])
    assert one["value"] == '{"to":{"user":"x"}}'
    assert {"name": "trace", "value": "abc"} in one["headers"]
    assert {"name": "bytes", "valueHex": "ff00"} in one["headers"]
    assert "trace: abc" in world.ctl("dlq", "show", letter["offset"]).stdout
    assert world.ctl("dlq", "list", "--filter", f"key={name},reason=syntax", check=False).returncode == 1
    assert world.ctl("dlq", "show", "0/999999999", check=False).returncode == 1
    for wrong in (("dlq",), ("dlq", "list", "--dry-run"), ("dlq", "list", "--filter", "nonsense=1"), ("dlq", "show"),
                  ("dlq", "show", "a/b"), ("dlq", "list", "--limit", "0")):
        assert world.ctl(*wrong, check=False).returncode == 2, wrong


@pytest.mark.core
def test_dlq_replay_keeps_key_headers_and_id(world, user):
    """The record is refused for its kind of target; replayed it is refused again, under the name it had first."""
    name = user()
    world.pusher.raw(json.dumps({"to": {"user": name}, "content": 1, "ttlMs": -1}), name, headers=[("trace", b"abc")])
    first = wait_letter(world, name)[0]
    assert world.ctl_json("dlq", "replay", "--filter", f"key={name}", "--dry-run")["replayed"] == 0
    assert len(letters(world, "--filter", f"key={name}")) == 1
    done = world.ctl_json("dlq", "replay", "--filter", f"offset={first['offset']}")
    assert (done["matched"], done["replayed"], done["failed"]) == (1, 1, 0)
    second = next(l for l in wait_letter(world, name, 2) if l["offset"] != first["offset"])
    assert second["source"] != first["source"] and second["replayId"] == first["replayId"]
    headers = {h["name"]: h.get("value") for h in world.ctl_json("dlq", "show", second["offset"])["headers"]}
    assert headers["trace"] == "abc" and headers["herald-id"] == first["replayId"]
    assert headers["herald-error"].startswith("ttl:")


@pytest.mark.core
def test_dlq_replay_delivers_under_the_first_id(world, user):
    """A good record that lies among the dead letters, as one refused by an older version would."""
    name = user()
    client = world.connect(name)
    source = "herald.push/3/123456"
    for i in range(3):
        world.pusher.producer.produce(
            "herald.dlq", json.dumps({"to": {"user": name}, "content": i}), name,
            headers=[("herald-error", b"unsupported: old"), ("herald-source", f"{source}{i}".encode()), ("x", b"y")])
    world.pusher.flush()
    wait_letter(world, name, 3)
    assert "3 replayed to herald.push" in world.ctl("dlq", "replay", "--filter", f"key={name}").stdout
    pushes = client.of_type("push", 3)
    assert [p["content"] for p in pushes] == [0, 1, 2]  # in their order
    assert [p["id"] for p in pushes] == [f"herald.push-3-123456{i}" for i in range(3)]


def test_dlq_replay_needs_leave(tmp_path):
    """Neither api.write nor try.enabled: a clear no; reading is allowed."""
    world = World(tmp_path / "w", gateways=0, routers=1, assignments={"try.enabled": "false"})
    try:
        refused = world.ctl("dlq", "replay", check=False)
        assert refused.returncode == 2 and "api.write" in refused.stderr
        wait_for(lambda: world.ctl("dlq", "list", check=False).returncode != 3, 20, "the topic is there")
        assert world.ctl("dlq", "list", check=False).returncode == 1
    finally:
        world.down()
