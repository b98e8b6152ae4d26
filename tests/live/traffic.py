"""Numbered durable messages to users who always come back, while a test breaks things; and the reckoning afterwards."""

import threading
import time

from client import Persistent


class Traffic:
    """`rate` messages a second over `users` users. Whatever Kafka accepted has to arrive, in order for each user."""

    def __init__(self, world, user, users=12, rate=150):
        self.world, self.rate, self.stopping = world, rate, threading.Event()
        self.names = [user() for _ in range(users)]
        turned = [world.urls[i % len(world.urls):] + world.urls[:i % len(world.urls)] for i in range(users)]
        self.clients = {name: Persistent(urls, world.token(name)) for name, urls in zip(self.names, turned)}
        self.sent = {name: [] for name in self.names}
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        for client in self.clients.values():
            client.messages.wait(lambda m: m.get("type") == "auth_response", 1, 20, "first connection")
        self.thread.start()
        self.wait_flowing()
        return self

    def _run(self):
        number, started = 0, time.monotonic()
        while not self.stopping.is_set():
            name = self.names[number % len(self.names)]
            self.sent[name].append(self.world.push({"user": name}, number, flush=False))
            number += 1
            self.stopping.wait(max(0, started + number / self.rate - time.monotonic()))

    def received(self):
        return sum(len(c.ids_in_order()) for c in self.clients.values())

    def wait_flowing(self, count=30, timeout=60):
        """Until `count` messages more than now have arrived: the system works (again). Returns the seconds it took."""
        started, target = time.monotonic(), self.received() + count
        while self.received() < target:
            assert time.monotonic() < started + timeout, f"nothing flows: {self.received()} of {target}"
            self.stopping.wait(0.02)
        return time.monotonic() - started

    def finish(self, timeout=60):
        """Stops, waits for everything accepted, and judges: nothing lost, nothing out of order."""
        self.stopping.set()
        self.thread.join(60)
        self.world.pusher.flush()
        for name, client in self.clients.items():
            client.wait_ids(self.sent[name], timeout)
        for client in self.clients.values():
            client.stop()
        for name, client in self.clients.items():
            assert client.ids_in_order() == self.sent[name], f"{name}: out of order"
        return sum(map(len, self.sent.values()))
