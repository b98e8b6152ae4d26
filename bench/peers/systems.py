"""The systems that are measured side by side: how each is started, spoken to, and what settings it has."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy", "local"))
sys.path.insert(0, os.path.join(ROOT, "bench"))

from backends import connects  # noqa: E402
from cluster import Cluster, free_port_offset  # noqa: E402
from cluster_cpu import pss_bytes, tree  # noqa: E402
from process import Process  # noqa: E402

BUILT = os.path.join(ROOT, "build", "peers")
PROGRAMS = os.path.join(ROOT, "build", "release")


def said(*argv):
    """What a program says of itself, on whichever output."""
    done = subprocess.run(argv, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


class System:
    """Started anew for each round, so that the others cost nothing meanwhile."""

    name = settings = ""
    topic = None  # of Kafka; None: published by HTTP
    is_comparable = True
    port = 0  # another one each time
    processes = ()

    def __init__(self, folder, brokers):
        self.folder, self.brokers = folder, brokers
        os.makedirs(folder, exist_ok=True)

    def is_built(self):
        return True

    def start(self):
        raise NotImplementedError

    def stop(self):
        for process in self.processes:
            process.stop()

    def pids(self):
        return [process.pid for process in self.processes]

    def memory(self):
        """Bytes of user memory; what does not grow with connections may be left out."""
        return sum(pss_bytes(pid) for pid in tree(self.pids()))

    def client(self, is_all):
        """Arguments of herald-peer-load for connections that get what is for one, or for all."""
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def _run(self, argv, condition=None):
        log = os.path.join(self.folder, "log")
        self.processes = [Process(self.name, argv, log)]
        self.processes[0].start().wait_ready(condition or (lambda: connects("127.0.0.1", self.port)), 40)


class Herald(System):
    name, topic = "Herald", "herald.push"
    settings = ("one gateway with one worker, one router, one registry, Redis; JWT checked, route in Redis; "
                "class volatile; all other settings are the defaults")

    def start(self):
        self.cluster = Cluster(self.folder, gateways=1, workers=1, routers=1, registries=1, broker=self.brokers,
                               port_offset=free_port_offset(), assignments={"log.level": "warn"})
        self.cluster.up()
        self.processes = self.cluster.processes()

    def stop(self):
        self.cluster.down()
        shutil.rmtree(self.folder)
        os.makedirs(self.folder)

    def memory(self):
        return sum(pss_bytes(pid) for pid in tree([self.cluster.of("gateway")[0].process.pid]))

    def client(self, is_all):
        address = self.cluster.of("gateway")[0].settings["ws.listen"].replace("0.0.0.0", "127.0.0.1")
        one = '{"to":{"user":"{user}"},"class":"volatile","content":{content}}'
        return ["--address", address, "--path", "/ws?device=bench&token={token}", "--ready", '"auth_response"',
                "--one-key", "{user}", "--one-value", one,
                "--all-key", "*", "--all-value", '{"to":{"all":true},"class":"volatile","content":{content}}']

    def version(self):
        commit = said("git", "-C", ROOT, "rev-parse", "--short", "HEAD")
        return f"{said(os.path.join(PROGRAMS, 'herald-gateway'), '--version')}, commit {commit}"


class Plain(System):
    """The pushers written for this comparison: key and value, no authentication."""

    def client(self, is_all):
        return ["--address", f"127.0.0.1:{self.port}", "--path", "/ws?user={user}",
                "--one-key", "{user}", "--one-value", "{content}", "--all-key", "*", "--all-value", "{content}"]


class Node(Plain):
    name, topic = "Node ws + kafkajs", "peer.node"
    settings = "perMessageDeflate off, ping every 25 s; no authentication, in memory only"
    folder_built = os.path.join(BUILT, "node")

    def is_built(self):
        return os.path.isdir(self.folder_built)

    def start(self):
        self._run(["node", os.path.join(self.folder_built, "pusher.js"), self.port, self.brokers, self.topic])

    def version(self):
        found = []
        for package in ("ws", "kafkajs"):
            with open(os.path.join(self.folder_built, "node_modules", package, "package.json")) as text:
                found.append(f"{package} {json.load(text)['version']}")
        return f"Node {said('node', '--version')}, {', '.join(found)}"


class Netty(Plain):
    name, topic = "Netty + kafka-clients", "peer.netty"
    settings = ("native epoll, one event loop for each core, one flush for each channel and batch, ping after 25 s of "
                "silence, -Xmx1g -XX:+UseSerialGC; no authentication, in memory only; its memory is what lives in the heap")
    libs = os.path.join(BUILT, "netty", "libs")

    def is_built(self):
        return os.path.isdir(self.libs)

    def start(self):
        path = ":".join(glob.glob(os.path.join(BUILT, "netty", "target", "*.jar")) + [os.path.join(self.libs, "*")])
        self._run(["java", "-Xmx1g", "-XX:+UseSerialGC", "-cp", path, "Pusher", self.port, self.brokers, self.topic])

    def memory(self):
        """Of the heap what lives, after a collection: how much of it the system has handed out says little."""
        last = said("jcmd", str(self.pids()[0]), "GC.class_histogram").splitlines()[-1]
        return int(last.split()[2])

    def version(self):
        jars = " ".join(os.listdir(self.libs))
        versions = [re.search(rf"{name}-([0-9.]+\d)", jars)[1] for name in ("netty-codec-http", "kafka-clients")]
        java = re.search(r'"([^"]+)"', said("java", "-version"))[1]
        return f"Netty {versions[0]}, kafka-clients {versions[1]}, Java {java}"


class Centrifugo(System):
    name, topic = "Centrifugo", "peer.centrifugo"
    settings = ("version 5, memory engine, JSON protocol, its own asynchronous Kafka consumer, which takes calls of its API, a "
                "channel for each user or one for all; no authentication, no history")
    program = os.path.join(BUILT, "centrifugo")

    def is_built(self):
        return os.path.exists(self.program)

    def start(self):
        config = {
            "address": "127.0.0.1", "port": self.port, "log_level": "warn", "usage_stats_disable": True,
            "allowed_origins": ["*"], "allow_anonymous_connect_without_token": True,
            "allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True,
            "consumers": [{"name": "push", "type": "kafka",
                           "kafka": {"brokers": [self.brokers], "topics": [self.topic], "consumer_group": "peer"}}],
        }
        path = os.path.join(self.folder, "config.json")
        with open(path, "w") as out:
            json.dump(config, out, indent=2)
        self._run([self.program, "--config", path])

    def client(self, is_all):
        channel = "all" if is_all else "{user}"
        return ["--address", f"127.0.0.1:{self.port}", "--path", "/connection/websocket", "--pong",
                "--first", '{"id":1,"connect":{}}',
                "--first", '{"id":2,"subscribe":{"channel":"' + channel + '"}}', "--ready", '"id":2,',
                "--one-key", "{user}", "--one-value", self._publish("{user}"),
                "--all-key", "*", "--all-value", self._publish("all")]

    @staticmethod
    def _publish(channel):
        return '{"method":"publish","payload":{"channel":"' + channel + '","data":{content}}}'

    def version(self):
        return said(self.program, "version")


NGINX = """\
load_module {built}/usr/lib/nginx/modules/ngx_nchan_module.so;
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{
    worker_connections 32768;
    multi_accept on;
}}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_in_single_buffer on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    nchan_shared_memory_size 512m;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /pub {{
            nchan_publisher;
            nchan_channel_id $arg_id;
            nchan_store_messages off;
        }}
        location = /sub {{
            nchan_subscriber websocket;
            nchan_channel_id $arg_id;
            nchan_subscriber_first_message newest;
            nchan_websocket_ping_interval 25;
        }}
    }}
}}
"""


class Nchan(System):
    name, is_comparable = "Nchan", False
    settings = ("one nginx worker, messages not stored, a channel for each user or one for all, ping every 25 s; published "
                "by HTTP, which is in its figures; no authentication")
    built = os.path.join(BUILT, "nchan")

    def is_built(self):
        return os.path.isdir(self.built)

    def start(self):
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w") as out:
            out.write(NGINX.format(built=self.built, folder=self.folder, port=self.port))
        self._run([os.path.join(self.built, "usr", "sbin", "nginx"), "-p", self.folder, "-c", path])

    def client(self, is_all):
        return ["--address", f"127.0.0.1:{self.port}", "--path", "/sub?id=" + ("all" if is_all else "{user}"),
                "--one-path", "/pub?id={user}", "--all-path", "/pub?id=all"]

    def version(self):
        control = said("dpkg-deb", "-f", glob.glob(os.path.join(BUILT, "libnginx-mod-nchan_*.deb"))[0], "Version")
        return f"Nchan {control} in {said(os.path.join(self.built, 'usr', 'sbin', 'nginx'), '-v').split(': ')[-1]}"


ALL = [Herald, Nchan, Node, Netty, Centrifugo]
