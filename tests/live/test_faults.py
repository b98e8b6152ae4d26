"""Things are killed, stopped, added and emptied while durable messages flow: none is lost, none overtakes another."""

import os
import signal
import time

import pytest

from conftest import World
from process import is_pid_alive
from test_registry import get, wait_for
from traffic import Traffic


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("faults"), gateways=2, workers=2, routers=2, registries=2)
    yield world
    world.down()


@pytest.fixture
def traffic(broken, user):
    running = Traffic(broken, user).start()
    yield running
    running.stopping.set()
    for client in running.clients.values():
        client.stopping.set()


def workers_of(daemon):
    with open(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children") as children:
        return [int(pid) for pid in children.read().split()]


def test_worker_killed(broken, traffic):
    gateway = broken.cluster.of("gateway")[0]
    before = workers_of(gateway)
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: len(workers_of(gateway)) == 2 and before[0] not in workers_of(gateway), 20, "worker restarted")
    wait_for(gateway.is_ready, 20, "gateway ready again")
    traffic.wait_flowing()
    assert traffic.finish() > 50


def test_gateway_killed(broken, traffic):
    gateway = broken.cluster.of("gateway")[0]
    children = workers_of(gateway)
    gateway.process.kill()
    wait_for(lambda: not any(is_pid_alive(pid) for pid in children), 5, "workers die with their master")
    wait_for(lambda: not {"gw1-0", "gw1-1"} & instances(broken), 4, "dead instances leave the membership")
    traffic.wait_flowing(100)
    gateway.start_ready()
    assert traffic.finish() > 50


def instances(world, registry=0):
    found = get(world.registry(registry), "/api/v1/instances")["instances"]
    return {i["instance"] for i in found if i["state"] == "live"}


def lapses(gateway):
    with open(gateway.process.log, errors="replace") as log:
        return log.read().count("the lease had vanished from redis")


def test_worker_that_slept_for_long(broken, traffic):
    """Longer than `link.silence`: what the routers sent it meanwhile is taken without a hole, or not at all. It notices that
    its lease had run out."""
    gateway = broken.cluster.of("gateway")[0]
    worker, noticed = workers_of(gateway)[0], lapses(gateway)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(11.5)  # time itself
    os.kill(worker, signal.SIGCONT)
    wait_for(lambda: lapses(gateway) > noticed, 10, "it noticed")
    traffic.wait_flowing(100)
    assert traffic.finish() > 50


def test_router_killed(broken, traffic):
    router = broken.cluster.of("router")[0]
    router.process.kill()
    router.start_ready()
    traffic.wait_flowing(100)
    assert traffic.finish(90) > 50


def lost_partitions(broken):
    logs = [open(router.process.log, errors="replace").read() for router in broken.cluster.of("router")]
    return sum(log.count("lost=true") for log in logs)


def test_router_added_and_removed(broken, traffic):
    """Partitions change hands politely: what is finished is committed before, so that nothing finished comes again."""
    lost_before = lost_partitions(broken)
    extra, _ = broken.cluster.add("router")
    extra.start_ready()
    traffic.wait_flowing(150)
    assert extra.process.stop() == 0
    traffic.wait_flowing(150)
    assert lost_partitions(broken) == lost_before
    broken.cluster.daemons.remove(extra)
    assert traffic.finish() > 50


def test_gateway_stopped_politely(broken, traffic):
    gateway = broken.cluster.of("gateway")[1]
    assert gateway.process.stop() == 0
    traffic.wait_flowing(100)
    gateway.start_ready()
    assert traffic.finish() > 50


def leader_seen_by(base):
    leader = get(base, "/api/v1/stats")["leader"]
    return leader["id"].split()[0] if leader else None


def test_registry_leader_killed(broken, traffic):
    leader_id = leader_seen_by(broken.registry())
    leader = next(d for d in broken.cluster.of("registry") if d.settings["registry.id"] == leader_id)
    other = next(d for d in broken.cluster.of("registry") if d is not leader)
    base = f"http://127.0.0.1:{other.admin_port}"
    leader.process.kill()
    killed = time.monotonic()
    wait_for(lambda: leader_seen_by(base) == other.settings["registry.id"], 8, "take-over")
    assert time.monotonic() - killed <= 5.5
    leader.start_ready()
    assert traffic.finish() > 50


def test_redis_stopped_and_started(broken, traffic):
    redis = broken.cluster.redis.process
    redis.stop()
    traffic.wait_flowing()  # users with a cached route go on being served
    redis.start()
    traffic.wait_flowing(100)
    assert traffic.finish() > 50


def test_redis_killed_while_users_reconnect(broken, traffic):
    redis = broken.cluster.redis.process
    redis.kill()
    for client in list(traffic.clients.values())[::2]:
        client.client.abort()
    redis.start()
    traffic.wait_flowing(100)
    assert traffic.finish(90) > 50


def test_redis_flushed(broken, traffic):
    """Mailboxes go with a flush; users who are connected are found again within 10 s and lose nothing from then on."""
    broken.redis_cli("FLUSHALL")
    flushed = time.monotonic()
    keys = [f"herald:route:{{{name}}}" for name in traffic.names]
    wait_for(lambda: broken.redis_cli("EXISTS", *keys) == str(len(keys)), 12, "every session registered again")
    assert time.monotonic() - flushed <= 11
    traffic.wait_flowing(50)
    for name in traffic.names:  # only what was sent after everyone was back must be complete
        traffic.sent[name] = []
    traffic.wait_flowing(100)
    traffic.stopping.set()
    traffic.thread.join()
    broken.pusher.flush()
    for name, client in traffic.clients.items():
        client.wait_ids(traffic.sent[name], 60)


def test_route_of_a_session_that_ended_while_redis_was_away(broken, user):
    name, redis = user(), broken.cluster.redis.process
    client = broken.connect(name)
    key = f"herald:route:{{{name}}}"
    wait_for(lambda: broken.redis_cli("EXISTS", key) == "1", 5, "registered")
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: redis_is_up(broken) == 0, 15, "the workers see that Redis is away")
        client.close()
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    wait_for(lambda: broken.redis_cli("EXISTS", key) == "0", 10, "the route is removed")
    wait_for(lambda: redis_is_up(broken) == 4, 10, "all workers are back")


def test_last_to_connect_wins_also_while_redis_is_away(broken, user):
    """They register in any order when Redis is back."""
    names, redis = [user() for _ in range(12)], broken.cluster.redis.process
    redis.stop()
    wait_for(lambda: redis_is_up(broken) == 0, 15, "the workers see that Redis is away")
    older = [broken.connect(name, "phone", gateway=0) for name in names]
    newer = [broken.connect(name, "phone", gateway=1) for name in names]
    redis.start()
    for client in older:
        assert client.wait_closed(20) == 4409
    wait_for(lambda: redis_is_up(broken) == 4, 10, "all workers are back")
    for name, client in zip(names, newer):
        client.push(broken.push({"user": name}))


def redis_is_up(world):
    """How many workers have their connection to Redis."""
    from urllib.request import urlopen
    texts = [urlopen(f"http://127.0.0.1:{g.admin_port}/metrics", timeout=5).read().decode()
             for g in world.cluster.of("gateway")]
    return sum(int(line.rsplit(" ", 1)[1]) for text in texts for line in text.splitlines()
               if line.startswith("herald_gateway_redis_up"))


def test_users_reconnect_all_the_time(broken, traffic):
    """A session that opened unknown to the router must not take what is newer than what the one before it missed."""
    clients = list(traffic.clients.values())
    for turn in range(120):
        clients[turn % len(clients)].client.abort()
        time.sleep(0.05)
    assert traffic.finish() > 50
    assert sum(c.connects for c in clients) > 60


def test_kafka_stopped_and_started(broken, traffic):
    kafka = broken.cluster.broker
    kafka.process.kill()
    kafka.start()
    traffic.wait_flowing(60, timeout=120)
    assert traffic.finish(120) > 50
