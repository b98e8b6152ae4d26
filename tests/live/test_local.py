"""deploy/local/herald-local, as a newcomer uses it: the embedded broker, what it prints, and that nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import uuid

import pytest

import backends
from client import Client
from cluster import ROOT, free_port_offset
from kafka_io import Pusher
from process import is_pid_alive

LOCAL = os.path.join(ROOT, "deploy", "local", "herald-local")


def local(*words, **options):
    return subprocess.run([sys.executable, LOCAL, *map(str, words)], capture_output=True, text=True, timeout=120,
                          check=False, **options)


def push_once(state, user="42"):
    """Connects as `user` with the printed token command, pushes, and waits for it."""
    token = subprocess.run(state["token_command"].replace("--user 42", f"--user {user}").split(), capture_output=True,
                           text=True, check=True).stdout.strip()
    client = Client(state["gateways"][0]["url"], token, "cli").authenticated()
    sent = Pusher(state["bootstrap"]).push({"user": user}, "hello")
    assert client.push(sent, timeout=20)["content"] == "hello"
    client.close()


def pids(state):
    parts = state["gateways"] + state["routers"] + state["registries"] + [state["redis"], state["broker"]]
    return [p["pid"] for p in parts]


def test_up_detached_status_down(tmp_path):
    options = ("--dir", tmp_path, "--port-offset", free_port_offset())
    up = local("up", "--detach", "--json", "--gateways", 2, *options)
    assert up.returncode == 0, up.stderr
    state = json.loads(up.stdout)
    try:
        assert all(map(is_pid_alive, pids(state))) and len(state["gateways"]) == 2
        assert local("status", *options).returncode == 0
        assert local("up", "--detach", *options).returncode != 0  # one runs there already
        push_once(state)
    finally:
        local("down", *options)
    assert not any(map(is_pid_alive, pids(state)))
    assert local("status", *options).returncode == 3
    assert os.path.exists(state["gateways"][0]["log"])  # --dir is kept


def test_ctrl_c_leaves_nothing_behind():
    child = subprocess.Popen([sys.executable, LOCAL, "up", "--json", "--port-offset", str(free_port_offset())],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    text = ""
    while not text.rstrip().endswith("\n}"):
        line = child.stdout.readline()
        assert line, child.stderr.read()
        text += line
    state = json.loads(text)
    push_once(state)
    child.send_signal(signal.SIGINT)
    assert child.wait(40) == 0
    assert not any(map(is_pid_alive, pids(state))) and not os.path.exists(state["dir"])


@pytest.mark.parametrize("assignment, says", [("ws.nonsense=1", "no daemon knows"), ("gateway.workers=many", "gateway.workers")])
def test_bad_set_is_a_clear_error(assignment, says, tmp_path):
    done = local("up", "--dir", tmp_path, "--port-offset", free_port_offset(), "--set", assignment)
    assert done.returncode == 1 and says in done.stderr


@pytest.mark.parametrize("program", ["herald-gateway", "herald-router", "herald-registry"])
def test_check_config_names_file_line_and_key(program, tmp_path):
    binary = os.path.join(os.environ.get("HERALD_PROGRAMS", os.path.join(ROOT, "build", "release")), program)
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("log:\n  level: info\n")
    bad.write_text("log:\n  level: info\n  colour: green\n")
    assert subprocess.run([binary, "--config", good, "--check-config"], check=False).returncode == 0
    done = subprocess.run([binary, "--config", bad, "--check-config"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "bad.yaml:3" in done.stderr and "log.colour" in done.stderr
    for flag in ("--help", "--print-config", "--version"):
        shown = subprocess.run([binary, flag], capture_output=True, text=True, check=False)
        assert shown.returncode == 0 and shown.stdout.strip()


@pytest.mark.parametrize("more", [[], ["--check-config"]])
def test_what_does_not_go_together_is_told(more):
    binary = os.path.join(os.environ.get("HERALD_PROGRAMS", os.path.join(ROOT, "build", "release")), "herald-gateway")
    for assignment, says in (("ws.ping_interval=60s", "ws.idle_timeout is not above ws.ping_interval"),
                             ("memory.refuse=60", "memory.refuse is below memory.trim")):
        done = subprocess.run([binary, "--set", assignment, *more], capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 2 and says in done.stderr and not done.stdout


def test_printed_config_is_read_back(tmp_path):
    binary = os.path.join(os.environ.get("HERALD_PROGRAMS", os.path.join(ROOT, "build", "release")), "herald-gateway")
    printed = subprocess.run([binary, "--print-config", "--set", "gateway.workers=3"], capture_output=True, text=True, check=True).stdout
    path = tmp_path / "gateway.yaml"
    path.write_text(printed)
    again = subprocess.run([binary, "--config", path, "--print-config"], capture_output=True, text=True, check=True).stdout
    assert again == printed and "workers: 3" in printed


def test_kafka_with_an_id_that_begins_with_a_dash(tmp_path, monkeypatch):
    """One random cluster id in 64 does, and looks like an option then."""
    monkeypatch.setattr(backends.uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" + bytes(15)))
    backends.Kafka(str(tmp_path), 0, 1).format()
    assert "cluster.id=-" in (tmp_path / "kafka" / "meta.properties").read_text()
