"""The producer: a steady mix of messages, written into the ledger before Kafka gets them and when Kafka has accepted."""

import json
import random
import threading
import time

from confluent_kafka import Producer

from ledger import BAD, DEVICE, DURABLE, LISTED, TTL, VOLATILE, Message

MIX = ((DURABLE, 76), (DEVICE, 8), (LISTED, 4), (TTL, 5), (VOLATILE, 5), (BAD, 2))

BURSTS = 0.02  # share of the turns


class Traffic:
    def __init__(self, ledger, bootstrap, users, rate, seed):
        self.ledger, self.users, self.rate = ledger, users, rate
        self.rng, self.seed = random.Random(f"{seed} traffic"), seed
        self.padded = set()  # users whose messages are big now: they read slowly, and buffers shall fill
        self.producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 2, "enable.idempotence": True,
                                  "message.timeout.ms": 0, "reconnect.backoff.max.ms": 500,
                                  "socket.timeout.ms": 10000, "log_level": 0})
        self.number, self.paused, self.stopping = 0, threading.Event(), threading.Event()
        self.idle = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()

    def _run(self):
        due = time.monotonic()
        while not self.stopping.is_set():
            if self.paused.is_set():
                self.idle.set()
                self.producer.poll(0.02)
                due = time.monotonic()
                continue
            self.idle.clear()
            count = self._turn()
            self.producer.poll(0)
            due = max(due + count / self.rate, time.monotonic() - 1)
            while (left := due - time.monotonic()) > 0:
                self.producer.poll(left)

    def _turn(self):
        """One message to the next user, or now and then a burst: what overtakes is seen only among messages close by."""
        if self.rng.random() >= BURSTS:
            self._produce(self.users[self.number % len(self.users)])
            return 1
        user, count = self.rng.choice(self.users), self.rng.randrange(5, 40)
        for _ in range(count):
            self._produce(user)
        return count

    def _produce(self, user):
        kind = self.rng.choices([k for k, _ in MIX], [w for _, w in MIX])[0]
        n, message_id = self.number, f"m{self.seed}-{kind}-{self.number}"
        self.number += 1
        content = message_id + " " + "x" * (8000 if user in self.padded else self.rng.randrange(0, 200))
        record = {"id": message_id, "to": {"user": user}, "content": content, "outcome": True}
        users, key = [user], user
        if kind == DEVICE:
            record["to"]["device"] = "d1"
        elif kind == LISTED:
            users, key = sorted(self.rng.sample(self.users, 3)), "list"
            record["to"] = {"users": users}
        elif kind == TTL:
            record["ttlMs"] = self.rng.randrange(300, 4000)
        elif kind == VOLATILE:
            record["class"] = "volatile"
        elif kind == BAD:
            del record["content"]
        for to in users:
            self.ledger.produced(Message(message_id, to, kind, n, "d1" if kind == DEVICE else None, record.get("ttlMs", 0)))
        self._send(json.dumps(record), key, message_id, users)

    def _send(self, value, key, message_id, users):
        def delivered(error, record):
            if error is not None:
                self.ledger.violate("harness", f"Kafka refused {message_id}: {error}")
            else:
                self.ledger.accepted(message_id, users, key, record.partition(), record.offset())

        while True:
            try:
                self.producer.produce("herald.push", value, key, on_delivery=delivered)
                return
            except BufferError:
                self.producer.poll(0.1)

    def pause(self):
        """Returns when Kafka has everything; the number of messages that it has not after a minute."""
        self.paused.set()
        self.idle.wait(10)
        return self.producer.flush(60)

    def resume(self):
        self.idle.clear()
        self.paused.clear()

    def stop(self):
        self.stopping.set()
        self.thread.join(10)
