"""The producer: a steady mix of messages, written into the ledger before Kafka gets them and when Kafka has accepted."""

import collections
import json
import random
import threading
import time

from message import BAD, COLLAPSE, DEVICE, DURABLE, EACH, LISTED, ONCE, TTL, VOLATILE, Message, Record
from producer import SureProducer

MIX = ((DURABLE, 56), (DEVICE, 7), (LISTED, 4), (TTL, 5), (VOLATILE, 5), (BAD, 2), (ONCE, 6), (COLLAPSE, 8), (EACH, 7))
PRIORITIES = (("normal", 8), ("high", 1), ("low", 1))
AGAIN = 0.04    # share of the turns in which one of the last messages is written once more, with the same id
REMEMBERED = 200
BURSTS = 0.02  # share of the turns


class Traffic:
    def __init__(self, ledger, bootstrap, devices, rate, seed):
        """devices: {user: names}"""
        self.ledger, self.devices, self.users, self.rate = ledger, devices, list(devices), rate
        self.several = [user for user, names in devices.items() if len(names) > 1]
        self.recent = collections.deque(maxlen=REMEMBERED)
        self.rng, self.seed = random.Random(f"{seed} traffic"), seed
        self.padded = set()  # users whose messages are big now: they read slowly, and buffers shall fill
        self.producer = SureProducer(bootstrap, ledger)
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
        if self.recent and self.rng.random() < AGAIN:
            self._repeat(*self.rng.choice(self.recent))
        if self.rng.random() >= BURSTS:
            self._produce(self.users[self.number % len(self.users)])
            return 1
        user, count = self.rng.choice(self.users), self.rng.randrange(5, 40)
        for _ in range(count):
            self._produce(user)
        return count

    def _draw(self, table):
        return self.rng.choices([name for name, _ in table], [weight for _, weight in table])[0]

    def _produce(self, user):
        kind = self._draw(MIX)
        n, message_id = self.number, f"m{self.seed}-{kind}-{self.number}"
        self.number += 1
        if kind in (ONCE, EACH) and self.rng.random() < 0.7:
            user = self.rng.choice(self.several)
        content = message_id + " " + "x" * (8000 if user in self.padded else self.rng.randrange(0, 200))
        record = {"id": message_id, "to": {"user": user}, "content": content, "outcome": True}
        users, devices, key = [user], (None,), user
        if kind == DEVICE:
            devices = ("d1",)
            record["to"]["device"] = "d1"
        elif kind == EACH:
            devices = self.devices[user]
            record["to"]["devices"] = "each"
        elif kind == LISTED:
            users, key = sorted(self.rng.sample(self.users, 3)), "list"
            record["to"] = {"users": users}
        elif kind == TTL:
            record["ttlMs"] = self.rng.randrange(300, 4000)
        elif kind == VOLATILE:
            record["class"] = "volatile"
        elif kind == ONCE:
            record["once"] = True
        elif kind == COLLAPSE:
            record["collapse"] = self.rng.choice(("a", "b"))
        elif kind == BAD:
            del record["content"]
        priority = self._draw(PRIORITIES) if kind in (DURABLE, DEVICE, TTL, ONCE, COLLAPSE, EACH) else "normal"
        if priority != "normal":
            record["priority"] = priority
        messages = [Message(message_id, to, kind, n, device, record.get("ttlMs", 0), priority, record.get("collapse"))
                    for to in users for device in devices]
        for message in messages:
            self.ledger.produced(message)
        self.producer.send(json.dumps(record), key, messages, 0)
        if kind in (DURABLE, ONCE):
            self.recent.append((json.dumps(record), key, messages))

    def _repeat(self, value, key, messages):
        """A producer that is not sure: nothing of it arrives twice."""
        for message in messages:
            message.records.append(Record(self.number))
        self.number += 1
        self.producer.send(value, key, messages, len(messages[0].records) - 1)

    def pause(self):
        """Returns when Kafka has everything; the number of messages that it has not after a minute."""
        self.paused.set()
        self.idle.wait(10)
        self.recent.clear()
        deadline = time.monotonic() + 60
        while self.producer.outstanding() and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.producer.outstanding()

    def resume(self):
        self.idle.clear()
        self.paused.clear()

    def stop(self):
        self.stopping.set()
        self.thread.join(10)
