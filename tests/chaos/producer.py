"""A producer that outlives its own fatal errors (librdkafka gives up an idempotent producer when it is not sure of the sequence
any more, as after a Kafka that was killed): what it was not told of, it looks up in the topic."""

import collections
import json
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

TOPIC = "herald.push"
LOOKED_AT = 5000  # the last so many records of each partition


class SureProducer:
    """All methods but outstanding() in one thread."""

    def __init__(self, bootstrap, ledger):
        self.bootstrap, self.ledger, self.flying = bootstrap, ledger, {}
        self.producer = self._open()

    def _open(self):
        return Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 2, "enable.idempotence": True,
                         "message.timeout.ms": 0, "reconnect.backoff.max.ms": 500, "socket.timeout.ms": 10000, "log_level": 0})

    def outstanding(self):
        return len(self.flying)

    def send(self, value, key, messages, i):
        """The i-th record of these messages."""
        name = (messages[0].id, i)

        def delivered(error, record):
            if error is None and self.flying.pop(name, None):
                self.ledger.accepted(messages, i, key, record.partition(), record.offset())

        self.flying[name] = (key, messages)
        while True:
            try:
                self.producer.produce(TOPIC, value, key, on_delivery=delivered)
                return
            except BufferError:
                self.poll(0.1)
            except KafkaException:
                self._revive()  # it looks for this one, too
                return

    def poll(self, seconds):
        try:
            self.producer.poll(seconds)
        except KafkaException:
            self._revive()

    def _revive(self):
        self.ledger.counts["producers that gave up"] += 1
        try:
            self.producer.purge()
            self.producer.flush(2)
        except KafkaException:
            pass
        self.producer = self._open()
        found = self._look()
        for (message_id, i), (key, messages) in list(self.flying.items()):
            used = {record.position for record in messages[0].records}
            places = [place for place in found[message_id] if place not in used]
            if places:
                self.ledger.accepted(messages, i, key, *map(int, places[0].split("/")))
            else:
                self.ledger.never_accepted(messages, i)
            del self.flying[message_id, i]

    def _look(self):
        """{id: places} of the last records, as soon as Kafka answers."""
        while True:
            consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "chaos-look", "log_level": 0})
            try:
                return self._read(consumer)
            except KafkaException:
                time.sleep(0.2)
            finally:
                consumer.close()

    @staticmethod
    def _read(consumer):
        found, left = collections.defaultdict(list), {}
        starts = []
        for p in consumer.list_topics(TOPIC, timeout=5).topics[TOPIC].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, p), timeout=5)
            starts.append(TopicPartition(TOPIC, p, max(low, high - LOOKED_AT)))
            if high > starts[-1].offset:
                left[p] = high
        consumer.assign(starts)
        while left:
            record = consumer.poll(5)
            if record is None or record.error():
                continue
            found[json.loads(record.value()).get("id")].append(f"{record.partition()}/{record.offset()}")
            if record.offset() + 1 >= left.get(record.partition(), 0):
                left.pop(record.partition(), None)
        return found
