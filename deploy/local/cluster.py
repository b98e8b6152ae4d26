"""A whole Herald cluster on this machine: which processes, with which configuration, in which order."""

import http.client
import os
import socket
import subprocess

import backends
from process import Process, StartError

ROOT = backends.ROOT
DEV_SECRET = "herald-dev-secret-not-for-production"
TOPICS = ("herald.push", "herald.outcome", "herald.dlq", "herald.upstream", "herald.presence")
PORTS = {"gateway": 8080, "gateway_admin": 9080, "router": 9180, "registry": 9280, "redis": 7379, "kafka": 9092}


def http_status(port, path):
    """The status of GET path on 127.0.0.1:port, or 0 when nobody answers."""
    try:
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        conn.request("GET", path)
        return conn.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0


class Daemon:
    """One Herald daemon: its process, its YAML file, its HTTP port."""

    def __init__(self, cluster, kind, name, admin_port, settings):
        self.name, self.kind, self.admin_port = name, kind, admin_port
        self.program = os.path.join(cluster.programs, f"herald-{kind}")
        self.config = os.path.join(cluster.folder, f"{name}.yaml")
        self.settings = dict(settings, **{"admin.listen": f"127.0.0.1:{admin_port}"})
        self.process = Process(name, [self.program, "--config", self.config],
                               os.path.join(cluster.folder, f"{name}.log"), env=cluster.env(kind) if cluster.env else None,
                               detached=cluster.detached)

    def write_config(self, assignments):
        known = backends.options_of(self.program)
        self.settings.update({k: v for k, v in assignments.items() if k in known})
        sections = {}
        for name, value in self.settings.items():
            section, key = name.split(".", 1)
            sections.setdefault(section, []).append(f"  {key}: {backends.to_json(str(value))}\n")
        with open(self.config, "w") as out:
            out.writelines(f"{section}:\n" + "".join(keys) for section, keys in sections.items())
        return known

    def is_ready(self):
        return http_status(self.admin_port, "/readyz") == 200

    def start(self):
        if backends.connects("127.0.0.1", self.admin_port):
            raise StartError(f"{self.name}: port {self.admin_port} is already in use")
        self.process.start()

    def wait_ready(self, timeout=40):
        self.process.wait_ready(self.is_ready, timeout)

    def start_ready(self):
        self.start()
        self.wait_ready()


class Cluster:
    """Everything that `herald-local up` starts. Gateways listen on 8080, 8081 ...; all ports move by `port_offset`.
    env(kind): further environment variables of the daemons of that kind."""

    def __init__(self, folder, gateways=1, workers=2, routers=1, registries=1, redis="embedded", broker="embedded",
                 assignments=None, port_offset=0, detached=False, programs=None, partitions=4, env=None):
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.detached, self.partitions, self.workers, self.env = detached, partitions, workers, env
        self.programs = programs or os.environ.get("HERALD_PROGRAMS") or os.path.join(ROOT, "build", "release")
        self.assignments = assignments or {}
        self.ports = {name: port + port_offset for name, port in PORTS.items()}
        self.redis = self._redis(redis)
        self.broker = self._broker(broker)
        self.secret = self.assignments.get("auth.secret", DEV_SECRET)
        self.counts = {"gateway": gateways, "router": routers, "registry": registries}
        self.daemons = []

    def _redis(self, where):
        if where == "embedded":
            return backends.Redis(self.folder, self.ports["redis"], self.detached)
        return backends.Elsewhere("redis", where)

    def _broker(self, where):
        if where == "embedded":
            return backends.DevBroker(self.folder, self.programs, self.partitions, TOPICS, self.detached)
        if where == "kafka":
            return backends.Kafka(self.folder, self.ports["kafka"], self.partitions, self.detached)
        return backends.Elsewhere("kafka", where)

    def of(self, kind):
        return [d for d in self.daemons if d.kind == kind]

    def _settings(self, kind, i):
        common = {"redis.address": self.redis.address}
        if kind == "gateway":
            port = self.ports["gateway"] + i
            return dict(common, **{
                "gateway.node": f"gw{i + 1}", "gateway.workers": self.workers, "ws.listen": f"0.0.0.0:{port}",
                "ws.url": f"ws://127.0.0.1:{port}/ws", "auth.secret": self.secret,
                # without routers nothing comes through, and a gateway would never be ready
                "canary.enabled": "true" if self.counts["router"] else "false"})
        common["kafka.brokers"] = self.broker.address
        if kind == "router":
            return dict(common, **{"router.node": f"rt{i + 1}"})
        return dict(common, **{"registry.id": f"reg{i + 1}", "try.enabled": "true", "auth.secret": self.secret})

    def add(self, kind):
        """A further daemon of that kind, configured, not started."""
        i = len(self.of(kind))
        port = self.ports["gateway_admin" if kind == "gateway" else kind] + i
        daemon = Daemon(self, kind, f"{kind}-{i + 1}", port, self._settings(kind, i))
        self.daemons.append(daemon)
        return daemon, daemon.write_config(self.assignments)

    def up(self):
        self.redis.start()
        self.broker.start()
        known = set()
        for kind in ("registry", "router", "gateway"):
            for _ in range(self.counts[kind]):
                daemon, names = self.add(kind)
                known |= names
        unknown = set(self.assignments) - known
        if unknown:
            raise StartError(f"--set {sorted(unknown)[0]}: no daemon knows this option")
        for daemon in self.daemons:
            daemon.start()
        for daemon in self.daemons:
            daemon.wait_ready()
        return self

    def processes(self):
        return self.redis.processes + self.broker.processes + [d.process for d in self.daemons]

    def down(self):
        """Daemons first, politely and together, then what they stand on."""
        order = [self.of("gateway"), self.of("router"), self.of("registry")]
        for daemons in order:
            for daemon in daemons:
                daemon.process.signal(15)
            for daemon in daemons:
                daemon.process.stop()
        for process in self.broker.processes + self.redis.processes:
            process.stop()

    def token(self, user, device=None):
        argv = self._token_argv(user) + (["--device", device] if device else [])
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    def _token_argv(self, user):
        argv = [os.path.join(self.programs, "heraldctl"), "token", "--user", user]
        return argv if self.secret == DEV_SECRET else argv + ["--secret", self.secret]

    def description(self):
        """What --json prints: every endpoint, pid and log file."""
        host = "127.0.0.1"

        def entry(daemon, **more):
            return dict(name=daemon.name, pid=daemon.process.pid, log=daemon.process.log, config=daemon.config,
                        admin=f"http://{host}:{daemon.admin_port}", **more)

        def backend(b):
            process = b.process
            return {"address": b.address, "pid": process.pid if process else None, "log": process.log if process else None}

        return {
            "dir": self.folder,
            "gateways": [entry(d, url=d.settings["ws.url"]) for d in self.of("gateway")],
            "routers": [entry(d) for d in self.of("router")],
            "registries": [entry(d, url=f"http://{host}:{d.admin_port}/") for d in self.of("registry")],
            "redis": backend(self.redis), "broker": backend(self.broker), "bootstrap": self.broker.address,
            "token_command": " ".join(self._token_argv("42")),
        }


def free_port_offset():
    """An offset at which the first ports of a cluster are free; for tests that run beside others."""
    for offset in range(1000, 40000, 37):
        if all(_is_free(port + offset) for port in PORTS.values()):
            return offset
    raise StartError("no free ports")


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
            return True
        except OSError:
            return False
