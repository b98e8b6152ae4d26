"""A Redis that is there, but refuses writes (a full disk, too few replicas, no memory)."""

import time
import urllib.error
import urllib.request

import pytest

from conftest import World


@pytest.fixture
def own(tmp_path):
    world = World(tmp_path, gateways=1, workers=1, routers=1)
    yield world
    world.redis_cli("CONFIG", "SET", "min-replicas-to-write", "0")
    world.down()


def workers(world):
    pid = world.cluster.of("gateway")[0].process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return children.read().split()


def test_acknowledged_entries_are_removed_later(own, user):
    name, alive = user(), workers(own)
    own.tail("herald.outcome")
    sent = [own.push({"user": name}, i, outcome=True) for i in range(5)]
    own.tail("herald.outcome").wait_json(lambda o: o["id"] in sent and o["outcome"] == "stored", len(sent))
    client = own.connect(name, ack=False)
    seq = client.push(sent[-1])["seq"]
    own.redis_cli("CONFIG", "SET", "min-replicas-to-write", "1")
    client.send(type="ack", seq=seq)
    log = own.cluster.of("gateway")[0].process.log
    deadline = time.monotonic() + 20
    while "NOREPLICAS" not in open(log).read():
        assert time.monotonic() < deadline, "Redis refused nothing"
        time.sleep(0.05)
    assert workers(own) == alive
    client.ack = True  # they come again, with the same ids
    own.redis_cli("CONFIG", "SET", "min-replicas-to-write", "0")
    deadline = time.monotonic() + 30
    while own.redis_cli("EXISTS", f"herald:box:{{{name}}}") != "0":
        assert time.monotonic() < deadline, "the mailbox is not emptied"
        time.sleep(0.05)
    assert workers(own) == alive and not client.closed.is_set()


def test_readyz_says_what_mailboxes_may_lose(own):
    router = own.cluster.of("router")[0]

    def told(words):
        own.redis_cli("CLIENT", "KILL", "TYPE", "normal")  # asked with each connection
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{router.admin_port}/readyz", timeout=5) as response:
                    if words in response.read().decode():
                        return True
            except urllib.error.HTTPError:
                pass  # 503 until Redis is back
            time.sleep(0.05)
        return False

    own.redis_cli("CONFIG", "SET", "appendonly", "yes")
    own.redis_cli("CONFIG", "SET", "appendfsync", "always")
    assert told("ready: mailboxes: appendfsync always: a crash of Redis or its machine loses nothing\n")
    own.redis_cli("CONFIG", "SET", "appendonly", "no")
    own.redis_cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert told("loses all that was stored since its last snapshot; maxmemory-policy is not noeviction")
