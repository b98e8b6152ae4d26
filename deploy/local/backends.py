"""What a local cluster stands on: Redis and a Kafka broker, each embedded (started here) or somewhere else."""

import json
import os
import socket
import subprocess
import uuid

from process import Process, StartError, wait_until

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def connects(host, port):
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def redis_answers(host, port):
    try:
        with socket.create_connection((host, int(port)), timeout=1) as conn:
            conn.sendall(b"PING\r\n")
            return conn.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


class Backend:
    process = None  # None: it runs already, and is only looked at

    @property
    def processes(self):
        return [self.process] if self.process else []


class Redis(Backend):
    """A redis-server of its own, keeping its data (AOF, fsync every second) in the cluster's folder."""

    def __init__(self, folder, port, detached=False):
        self.address = f"127.0.0.1:{port}"
        data = os.path.join(folder, "redis")
        os.makedirs(data, exist_ok=True)
        self.process = Process("redis", [
            "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", data, "--save", "", "--appendonly", "yes",
            "--appendfsync", "everysec", "--daemonize", "no"], os.path.join(folder, "redis.log"), detached=detached)

    def start(self):
        host, port = self.address.split(":")
        if connects(host, port):
            raise StartError(f"redis: port {port} is already in use")
        self.process.start()
        self.process.wait_ready(lambda: redis_answers(host, port), 20)


class DevBroker(Backend):
    """herald-devbroker: speaks the Kafka protocol, keeps a few MB per partition in memory, nothing on disk."""

    def __init__(self, folder, programs, partitions, topics, detached=False):
        self.address = None
        self.file = os.path.join(folder, "broker.address")
        self.process = Process("broker", [
            os.path.join(programs, "herald-devbroker"), "--partitions", partitions, "--topics", ",".join(topics),
            "--address-file", self.file], os.path.join(folder, "broker.log"), detached=detached)

    def start(self):
        if os.path.exists(self.file):
            os.unlink(self.file)
        self.process.start()
        self.process.wait_ready(lambda: os.path.exists(self.file) and os.path.getsize(self.file) > 0, 20)
        with open(self.file) as address:
            self.address = address.read().strip()


KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
num.partitions={partitions}
auto.create.topics.enable=true
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=16777216
"""


SMALL_JVM = ["-XX:+UseSerialGC", "-Xmx1g", "-Xms256m"]


class Kafka(Backend):
    """Apache Kafka (KRaft, broker and controller in one JVM) from the jars that `make deps` puts into build/kafka."""

    more_properties, cluster_id = "", None  # of its own, unless one is given

    def __init__(self, folder, port, partitions, detached=False, jars=os.path.join(ROOT, "build", "kafka", "libs")):
        self.port, self.address = port, f"127.0.0.1:{port}"
        self.folder, self.jars, self.partitions = folder, jars, partitions
        os.makedirs(folder, exist_ok=True)
        self.properties = os.path.join(folder, "kafka.properties")
        self.process = Process("kafka", self.java("kafka.Kafka", self.properties),
                               os.path.join(folder, "kafka.log"), detached=detached)

    def java(self, *arguments):
        return ["java", *SMALL_JVM, "-cp", os.path.join(self.jars, "*"), *arguments]

    def use_jvm(self, flags):
        """Instead of SMALL_JVM, from the next start on."""
        self.process.argv[1:1 + len(SMALL_JVM)] = flags

    def format(self):
        if not os.path.isdir(self.jars):
            raise StartError(f"kafka: {self.jars} is missing; `make deps` fetches it")
        data = os.path.join(self.folder, "kafka")
        with open(self.properties, "w") as out:
            out.write(KAFKA_PROPERTIES.format(port=self.port, controller=self.port + 1, data=data,
                                              partitions=self.partitions) + self.more_properties)
        if os.path.exists(os.path.join(data, "meta.properties")):
            return
        done = subprocess.run(self.java("kafka.tools.StorageTool", "format", f"--cluster-id={self.cluster_id or new_cluster_id()}",
                                        "-c", self.properties), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StartError(f"kafka: formatting {data} failed: {done.stderr.strip() or done.stdout.strip()}")

    def start(self):
        self.begin()
        self.wait()

    def begin(self):
        if connects("127.0.0.1", self.port):
            raise StartError(f"kafka: port {self.port} is already in use")
        self.format()
        self.process.start()

    def wait(self):
        self.process.wait_ready(lambda: connects("127.0.0.1", self.port), 180)  # seconds; 5 on a machine with nothing else to do


class Elsewhere(Backend):
    """A Redis or Kafka that runs already; only looked at."""

    def __init__(self, name, address):
        self.name, self.address = name, address

    def start(self):
        host, _, port = self.address.split(",")[0].rpartition(":")
        if not port.isdigit():
            raise StartError(f"{self.name}: {self.address} is not HOST:PORT")
        wait_until(lambda: connects(host, port), f"{self.name} at {self.address}", 10)


def new_cluster_id():
    """A random id as Kafka writes them: base64url, so that one in 64 begins with a dash (and must not stand alone as an argument)."""
    import base64
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def options_of(program):
    """The options a daemon knows, as {"section.key"}, from its own --print-config."""
    text = subprocess.run([program, "--print-config"], capture_output=True, text=True, check=True).stdout
    names, section = set(), None
    for line in text.splitlines():
        bare = line.split("#", 1)[1] if line.lstrip().startswith("#") else line
        if not bare.strip() or ":" not in bare:
            continue
        key = bare.split(":", 1)[0]
        if not line.startswith((" ", "#", "\t")):
            section = key.strip()
        elif section:
            names.add(f"{section}.{key.strip()}")
    return names


def to_json(value):
    return json.dumps(value, indent=2)
