"""A gateway that gets short of memory: slow clients make its queues grow until it refuses newcomers and sheds the
slowest; it survives, the others notice nothing, and what was durable arrives later."""

import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from confined import Group, Rlimit, Unavailable
from conftest import World
from slow import abandon, connect_small
from test_canary import metrics, wait_for

LIMIT = 96 << 20
LARGE = "x" * 60000
SLOW = 12


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Everything but the gateway. What one client may hold is far beyond what there is for all of them."""
    world = World(tmp_path_factory.mktemp("memory"), gateways=0, workers=1, routers=1)
    world.cluster.assignments.update({
        "canary.interval": "300ms",
        "limit.queue_bytes": "64MiB", "session.backlog_bytes": "64MiB", "session.unwritten_max": "16MiB",
        "limit.queue_age": "10m"})
    yield world
    world.down()


@pytest.fixture
def gateway(own, request):
    """A gateway under a limit of the kind that the test is given."""
    try:
        limit = {"cgroup": Group, "rlimit": Rlimit}[request.param](LIMIT)
    except Unavailable as why:
        pytest.skip(f"{why}; the same is tested under RLIMIT_DATA")
    if not own.cluster.of("gateway"):
        own.cluster.add("gateway")
    daemon = own.cluster.of("gateway")[0]
    daemon.plain_argv = getattr(daemon, "plain_argv", daemon.process.argv)
    daemon.process.argv = limit.confine(daemon.plain_argv)
    daemon.limit = limit
    daemon.start_ready()
    yield daemon
    own.close_clients()
    daemon.process.stop()
    limit.remove()


def total(daemon, name):
    """Summed over workers and labels."""
    return sum(value for key, value in metrics(daemon).items() if key.split("{")[0] == name)


def level(daemon):
    return total(daemon, "herald_gateway_memory_level")


def used(daemon):
    return metrics(daemon)['herald_gateway_memory_used_bytes{limit="cgroup"}']


class Flood:
    """Large volatile messages, one after the other to each name, until it is stopped."""

    def __init__(self, world, names):
        self.world, self.names, self.stopping = world, names, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        number = 0
        while not self.stopping.is_set():
            self.world.push({"user": self.names[number % len(self.names)]}, LARGE, flush=False, **{"class": "volatile"})
            number += 1
            if number % 20 == 0:
                self.world.pusher.flush()

    def stop(self):
        self.stopping.set()
        self.thread.join(60)


def why_refused(world, name):
    """The status and headers of the answer to an upgrade that is refused; None when it is not."""
    request = urllib.request.Request(world.url().replace("ws://", "http://") + f"?token={world.token(name)}")
    try:
        urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        return error.code, error.headers
    except OSError:
        pass
    return None


def readiness(daemon):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin_port}/readyz", timeout=5).read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


NEIGHBOUR = """
import sys
held = []
for line in sys.stdin:
    held.append(b"x" * (1 << 20))
    print(len(held), flush=True)
"""


@pytest.mark.parametrize("gateway", ["cgroup"], indirect=True)
def test_a_neighbour_in_the_control_group(own, gateway, user):
    """What others use of the limit counts too, and nobody who is fast is closed for it."""
    client, newcomer = own.connect(user()), user()
    argv = gateway.limit.confine([sys.executable, "-c", NEIGHBOUR])
    neighbour = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while level(gateway) < 2:
            before = used(gateway)
            for _ in range(4):
                neighbour.stdin.write("more\n")
                neighbour.stdin.flush()
                assert int(neighbour.stdout.readline()) < LIMIT >> 20
            wait_for(lambda: used(gateway) > before + (3 << 20), 10, "the gateway does not see what others use")
        assert why_refused(own, newcomer)[0] == 503
        wait_for(lambda: "short of memory" in readiness(gateway), 10, "/readyz does not say it")
    finally:
        neighbour.communicate("")
    wait_for(lambda: level(gateway) == 0, 10, "memory is still short")
    own.connect(newcomer)
    assert client.close_code is None
    assert total(gateway, "herald_gateway_sessions_shed_total") == 0


@pytest.mark.parametrize("gateway", ["cgroup", "rlimit"], indirect=True)
def test_slow_clients_do_not_end_a_worker(own, gateway, user):
    world, names, fast_name, newcomer = own, [user() for _ in range(SLOW)], user(), user()
    slow = [connect_small(world, name) for name in names]
    fast = world.connect(fast_name)
    durable = {name: [world.push({"user": name}, "first")] for name in names}
    flood, sent = Flood(world, names), []
    said = refused = None
    deadline = time.monotonic() + 90
    while total(gateway, "herald_gateway_sessions_shed_total") < SLOW / 2 or not refused or not said:
        sent.append(world.push({"user": fast_name}, len(sent), flush=False))
        for name in names:
            durable[name].append(world.push({"user": name}, "under pressure", flush=False))
        if level(gateway) >= 2:
            answer = why_refused(world, newcomer)
            refused = refused or (answer if answer and answer[0] == 503 else None)
            text = readiness(gateway)
            said = said or (text if "short of memory" in text else None)
        assert time.monotonic() < deadline, f"level {level(gateway)}, refused {refused}, {metrics(gateway)}"
        time.sleep(0.02)
    flood.stop()
    world.pusher.flush()
    assert refused[1]["Retry-After"]
    fast.push(sent[-1], timeout=60)
    assert [m["id"] for m in fast.pushes()] == sent
    assert fast.close_code is None
    for ws in slow:
        abandon(ws)
    wait_for(lambda: level(gateway) == 0, 30, "memory is short though nobody is slow any more")
    wait_for(gateway.is_ready, 30, "not ready again")
    for name in names:  # closed or not: everything durable arrives
        durable[name].append(world.push({"user": name}, "last"))
        again = world.connect(name, "d")
        again.push(durable[name][-1], timeout=60)
        assert list(dict.fromkeys(m["id"] for m in again.pushes())) == durable[name]
    assert gateway.limit.kills() == 0
    assert total(gateway, "herald_gateway_worker_starts_total") == 1
