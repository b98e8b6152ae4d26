"""A WebSocket client for tests: the `websockets` library, a reader thread, and waiting with deadlines."""

import json
import threading
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Waiting:
    """A list that a thread fills and a test waits on."""

    def __init__(self):
        self.items, self.changed = [], threading.Condition()

    def add(self, item):
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()

    def snapshot(self):
        with self.changed:
            return list(self.items)

    def wait(self, matches, count=1, timeout=10, what="message"):
        """The first `count` items that match; AssertionError, telling what there was, after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                found = [item for item in self.items if matches(item)]
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left) and time.monotonic() >= deadline:
                    found = [item for item in self.items if matches(item)]
                    assert len(found) >= count, f"{what}: {len(found)} of {count} in {timeout} s; last: {self.items[-5:]}"
                    return found


class Client:
    """One connection of a user. Durable pushes are acknowledged unless ack=False."""

    def __init__(self, url, token=None, device=None, ack=True, where="query", **options):
        self.messages, self.ack, self.closed = Waiting(), ack, threading.Event()
        self.close_code = self.close_reason = None
        query, headers, subprotocols = [], {}, ["herald.json.v1"]
        if device:
            query.append(f"device={device}")
        if token and where == "query":
            query.append(f"token={token}")
        elif token and where == "header":
            headers["Authorization"] = f"Bearer {token}"
        elif token and where == "subprotocol":
            subprotocols.append(f"herald.jwt.{token}")
        options.setdefault("open_timeout", 10)
        options.setdefault("max_size", 1 << 22)
        options.setdefault("compression", "deflate")  # as browsers do
        self.ws = connect(url + ("?" + "&".join(query) if query else ""), additional_headers=headers,
                          subprotocols=subprotocols, ping_interval=None, **options)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            for text in self.ws:
                message = json.loads(text)
                message.update(_at=time.time(), _text=text)
                if self.ack and "seq" in message:
                    self.send(type="ack", seq=message["seq"])
                self.messages.add(message)
        except (ConnectionClosed, OSError):
            pass
        finally:
            self.close_code, self.close_reason = self.ws.close_code, self.ws.close_reason
            self.closed.set()

    def send(self, **message):
        self.ws.send(json.dumps(message))

    def of_type(self, kind, count=1, timeout=10):
        return self.messages.wait(lambda m: m.get("type") == kind, count, timeout, kind)

    def authenticated(self, timeout=10):
        response = self.of_type("auth_response", timeout=timeout)[0]
        assert response["code"] == 200, response
        return self

    def pushes(self):
        return [m for m in self.messages.snapshot() if m["type"] in ("push", "broadcast")]

    def push(self, message_id, timeout=10):
        """The push with that id."""
        return self.messages.wait(lambda m: m.get("id") == message_id, 1, timeout, f"push {message_id}")[0]

    def wait_closed(self, timeout=10):
        assert self.closed.wait(timeout), f"still open after {timeout} s"
        return self.close_code

    def close(self):
        self.ws.close()
        self.closed.wait(10)

    def abort(self):
        """Ends the TCP connection without a close frame."""
        self.ws.socket.shutdown(2)
        self.closed.wait(10)


class Persistent:
    """A user's device that always comes back, to the next of the given URLs: what the client library will do."""

    def __init__(self, urls, token, device="p1", ack=True):
        self.urls, self.token, self.device, self.ack = urls, token, device, ack
        self.messages, self.stopping, self.client = Waiting(), threading.Event(), None
        self.connects = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        turn = 0
        while not self.stopping.is_set():
            url = self.urls[turn % len(self.urls)]
            turn += 1
            try:
                client = Client(url, self.token, self.device, ack=self.ack, open_timeout=3)
            except Exception:  # refused, reset, half a handshake: whatever a dying gateway does
                self.stopping.wait(0.1)
                continue
            self.client = client
            seen = 0
            self.connects += 1
            while not (client.closed.wait(0.02) or self.stopping.is_set()):
                seen = self._collect(client, seen)
            self._collect(client, seen)
            if self.stopping.is_set():
                client.close()

    def _collect(self, client, seen):
        items = client.messages.snapshot()
        for message in items[seen:]:
            self.messages.add(message)
        return len(items)

    def ids_in_order(self):
        """Each pushed id once, in the order of its first arrival."""
        return list(dict.fromkeys(m["id"] for m in self.messages.snapshot() if m["type"] == "push"))

    def wait_ids(self, ids, timeout):
        wanted = set(ids)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            missing = wanted - set(self.ids_in_order())
            if not missing:
                return
            with self.messages.changed:
                self.messages.changed.wait(0.1)
        raise AssertionError(f"{self.device}: {len(missing)} of {len(wanted)} missing after {timeout} s: {sorted(missing)[:5]}")

    def stop(self):
        self.stopping.set()
        self.thread.join(15)
