"""The services' side: producing pushes and reading the outcome, dead-letter and upstream topics, with confluent-kafka."""

import itertools
import json
import threading
import time
import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from client import Waiting


class Pusher:
    def __init__(self, bootstrap):
        self.producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1, "enable.idempotence": True,
                                  "message.timeout.ms": 60000})
        self.accepted, self.numbers, self.prefix = set(), itertools.count(), uuid.uuid4().hex[:8]

    def push(self, to, content="hello", key=None, flush=True, **fields):
        """Produces one record; its id. With flush, Kafka has it when this returns."""
        message_id = fields.pop("id", None) or f"{self.prefix}-{next(self.numbers)}"
        record = dict(fields, id=message_id, to=to, content=content)
        self.raw(json.dumps(record), key if key is not None else to.get("user", ""), message_id, flush)
        return message_id

    def raw(self, value, key="", message_id=None, flush=True, headers=None):
        def delivered(error, _):
            assert error is None, error
            self.accepted.add(message_id)

        while True:
            try:
                self.producer.produce("herald.push", value, key, headers=headers, on_delivery=delivered)
                break
            except BufferError:
                self.producer.poll(0.1)
        if flush:
            self.flush()

    def flush(self, timeout=60):
        assert self.producer.flush(timeout) == 0, "Kafka did not take everything"


class Tail:
    """Everything that reaches a topic from now on (or from the beginning); `records` may be anything with an add()."""

    def __init__(self, bootstrap, topic, from_beginning=False, records=None):
        self.records, self.stopping = records or Waiting(), threading.Event()
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"test-{uuid.uuid4().hex}",
                                  "fetch.wait.max.ms": 20, "enable.auto.commit": False, "log_level": 0,
                                  "reconnect.backoff.max.ms": 500})
        self.consumer.assign([self._start(topic, p, from_beginning) for p in self._partitions(topic)])
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _partitions(self, topic):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.consumer.list_topics(timeout=10).topics.get(topic)
            if found is not None and found.partitions and all(p.leader >= 0 for p in found.partitions.values()):
                return list(found.partitions)
        raise AssertionError(f"topic {topic} does not exist")

    def _start(self, topic, partition, from_beginning):
        deadline = time.monotonic() + 30
        while True:
            try:
                low, high = self.consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
                return TopicPartition(topic, partition, low if from_beginning else high)
            except KafkaException:  # a topic that was just made may not have its leader yet
                assert time.monotonic() < deadline, f"no leader of {topic}/{partition}"

    def _run(self):
        while not self.stopping.is_set():
            record = self.consumer.poll(0.1)
            if record is not None and record.error() is None:
                self.records.add(record)
        self.consumer.close()

    def values(self):
        return [json.loads(r.value()) for r in self.records.snapshot()]

    def wait_json(self, matches, count=1, timeout=15, what="record"):
        def wrapped(record):
            try:
                return matches(json.loads(record.value()))
            except ValueError:
                return False
        return [json.loads(r.value()) for r in self.records.wait(wrapped, count, timeout, what)]

    def close(self):
        self.stopping.set()
        self.thread.join(10)
