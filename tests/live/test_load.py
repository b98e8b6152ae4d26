"""The load client of bench/ against a real cluster: what it says was delivered, it has seen and judged."""

import json
import os
import subprocess
import uuid

STREAMS = ["to=user,class=durable,rate=200,size=100", "to=user,class=volatile,rate=100,size=300,fields=\"from\":\"a\"",
           "to=users,class=durable,rate=20,group=7", "to=users,class=volatile,rate=20,group=7,burst=5",
           "to=all,class=volatile,rate=4,burst=2"]


def run_load(world, *argv):
    """The report and the exit status."""
    program = os.path.join(world.cluster.programs, "herald-load")
    gateway = world.url().split("/")[2]
    with subprocess.Popen([program, "--gateway", gateway, "--brokers", world.cluster.broker.address, *map(str, argv)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline().startswith("ready ")
        out, _ = child.communicate("go\n", timeout=60)
        return json.loads(out), child.returncode


def test_a_mix_over_several_processes_arrives_whole(world):
    argv = ["--connections", 60, "--processes", 3, "--ramp", 300, "--warm-up", 1, "--seconds", 2, "--prefix", f"load{uuid.uuid4().hex[:6]}-"]
    for stream in STREAMS:
        argv += ["--stream", stream]
    report, status = run_load(world, *argv)
    assert [s["expected"] for s in report["streams"]] == [400, 200, 40 * 7, 40 * 7, 8 * 60]
    assert [s["received"] for s in report["streams"]] == [s["expected"] for s in report["streams"]]
    assert (report["received"], report["lost"], report["late"], report["repeated"], report["closed"]) == (1640, 0, 0, 0, 0)
    assert (report["up"], report["processes"], status) == (60, 3, 0)
    assert 0 < report["latency"]["p50_us"] <= report["latency"]["max_us"]
    assert sum(sample["received"] for sample in report["samples"]) == 1640


def test_what_nobody_gets_is_said_to_be_lost(world):
    """Another topic: the load client cannot know that no router reads it."""
    report, status = run_load(world, "--connections", 5, "--seconds", 1, "--drain", 1, "--topic", "herald.nowhere", "--stream",
                              "to=user,class=volatile,rate=20")
    assert (report["expected"], report["received"], report["lost"], status) == (20, 0, 20, 1)
