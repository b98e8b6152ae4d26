"""Three Kafka brokers in place of one: each record is on three, and accepted when two have it. Any of them may be killed,
stopped, restarted, and cut from the routers and from the others; two at a time, and Kafka takes nothing for a while."""

import os

import backends
import faults

NAMES = ("kafka-1", "kafka-2", "kafka-3")
REPLICATED = """\
node.id={node}
controller.quorum.voters={voters}
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
replica.lag.time.max.ms=3000
unclean.leader.election.enable=false
"""


class Brokers(backends.Backend):
    def __init__(self, folder, port, partitions):
        self.nodes = [backends.Kafka(os.path.join(folder, name), port + 2 * i, partitions) for i, name in enumerate(NAMES)]
        self.address = ",".join(node.address for node in self.nodes)
        voters = ",".join(f"{i}@127.0.0.1:{node.port + 1}" for i, node in enumerate(self.nodes, 1))
        cluster_id = backends.new_cluster_id()
        for i, (name, node) in enumerate(zip(NAMES, self.nodes), 1):
            node.cluster_id, node.process.name = cluster_id, name
            node.more_properties = REPLICATED.format(node=i, voters=voters)

    @property
    def processes(self):
        return [node.process for node in self.nodes]

    def start(self):
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            node.wait()


class KillBroker(faults.Kill):
    weight = 5

    def __init__(self, rng):
        super().__init__(rng, NAMES)


class StopBroker(faults.Stop):
    weight = 5

    def __init__(self, rng):
        super().__init__(rng, NAMES)


class RestartBroker(faults.Restart):
    weight = 4

    def __init__(self, rng):
        super().__init__(rng, NAMES)


class Cut(faults.Cut):
    PAIRS = tuple(pair for pair in faults.Cut.PAIRS if "kafka" not in pair) + \
        tuple((router, name) for router in faults.ROUTERS for name in NAMES) + \
        tuple((a, b) for a in NAMES for b in NAMES if a < b)


INSTEAD_OF = {faults.KillKafka: KillBroker, faults.StopKafka: StopBroker, faults.RestartKafka: RestartBroker, faults.Cut: Cut}
