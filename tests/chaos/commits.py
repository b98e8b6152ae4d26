"""Which records Kafka gave to routers again. Not Herald's word: the broker's own log of what the group has committed and of
each generation of its members. A router begins each generation at what is committed, so a record is read once in every
generation that began before its offset was committed, and in no other."""

import struct
import threading
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from kafka_io import Tail

TOPIC, MARKER = "herald.push", "chaos"
LATE_S = 12.0  # so long a router that was stopped or cut off may go on reading before it hears that there is a newer generation


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        value, = struct.unpack_from("!" + form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        length = self.number("h")
        self.at += max(length, 0)
        return None if length < 0 else self.data[self.at - length:self.at].decode()


class Group:
    def __init__(self):
        self.committed = {}    # partition: offset
        self.generations = []  # (when in Unix s, what was committed then)


class Commits:
    """Fed in the order of the log."""

    def __init__(self):
        self.lock, self.groups = threading.Lock(), {}

    def take(self, key, value, at):
        head = Reader(key)
        version, name = head.number("h"), head.text()
        with self.lock:
            group = self.groups.setdefault(name, Group())
            if version in (0, 1):
                topic, partition = head.text(), head.number("i")
                if topic == TOPIC and value is not None:
                    body = Reader(value)
                    body.number("h")
                    group.committed[partition] = body.number("q")
            elif version == 2 and value is not None:
                body = Reader(value)
                body.number("h")
                body.text()
                body.number("i")
                if body.text() is not None:  # a protocol was chosen: it has members
                    group.generations.append((at, dict(group.committed)))

    def readings(self, partition, offset, produced_at):
        """How often a record may have been read: the generations that began before it was committed and ended after it
        was produced."""
        with self.lock:
            group = next((g for name, g in self.groups.items() if name != MARKER and g.committed), Group())
            ends = [at for at, _ in group.generations[1:]] + [float("inf")]
            return sum(committed.get(partition, 0) <= offset and end + LATE_S > produced_at
                       for (_, committed), end in zip(group.generations, ends))

    def committed(self, name):
        with self.lock:
            return dict(self.groups[name].committed) if name in self.groups else {}

    def forget(self, before):
        """Generations that no record still to be judged was read in."""
        with self.lock:
            for group in self.groups.values():
                while len(group.generations) > 1 and group.generations[1][0] < before:
                    del group.generations[0]


class CommitTail(Tail):
    def __init__(self, bootstrap, commits):
        self.commits, self.marks = commits, 0
        self.marker = Consumer({"bootstrap.servers": bootstrap, "group.id": MARKER, "log_level": 0,
                                "reconnect.backoff.max.ms": 500})
        super().__init__(bootstrap, "__consumer_offsets", from_beginning=True, records=self)

    def add(self, record):
        """In place of a list of records."""
        self.commits.take(record.key(), record.value(), record.timestamp()[1] / 1000)

    def catch_up(self, timeout=30):
        """Until everything that is in the log now has been read: a commit of our own is the mark. (The topic has one partition.)"""
        self.marks += 1
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                self.marker.commit(offsets=[TopicPartition(TOPIC, 0, self.marks)], asynchronous=False)
                break
            except KafkaException:
                time.sleep(0.1)
        while time.monotonic() < deadline:
            if self.commits.committed(MARKER) == {0: self.marks}:
                return True
            time.sleep(0.02)
        return False

    def close(self):
        super().close()
        self.marker.close()
