"""The clients: one thread, plain sockets, so that a client can stop reading, stop acknowledging, vanish or move. Every
device comes back by itself, to the next gateway, and leaves a gateway that says nothing for too long."""

import base64
import collections
import errno
import json
import os
import random
import selectors
import socket
import struct
import threading
import time

OFF, CONNECTING, UPGRADING, OPEN = range(4)
HEARTBEAT_S, OPEN_TIMEOUT_S = 1.0, 3.0


def masked(opcode, payload):
    mask = os.urandom(4)
    length = len(payload)
    head = bytes([0x80 | opcode, 0x80 | length]) if length < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, length)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def take_frame(buffer):
    """(opcode, payload) off the front of a bytearray, or None. The server masks nothing and fragments nothing."""
    if len(buffer) < 2:
        return None
    length, at = buffer[1] & 0x7F, 2
    if length == 126:
        if len(buffer) < 4:
            return None
        length, at = struct.unpack_from("!H", buffer, 2)[0], 4
    elif length == 127:
        if len(buffer) < 10:
            return None
        length, at = struct.unpack_from("!Q", buffer, 2)[0], 10
    if len(buffer) < at + length:
        return None
    frame = buffer[0] & 0x0F, bytes(buffer[at:at + length])
    del buffer[:at + length]
    return frame


class Device:
    """One device of a user. All methods run in the fleet's thread."""

    def __init__(self, fleet, user, name, addresses, token, patience_s):
        self.fleet, self.ledger, self.user, self.name = fleet, fleet.ledger, user, name
        self.addresses, self.token, self.patience_s = addresses, token, patience_s
        self.turn = fleet.rng.randrange(len(addresses))
        self.is_wanted, self.is_reading, self.is_acking, self.is_flapping = True, True, True, False
        self.lag_s = fleet.rng.choice((0, 0, 0.04, 0.25))  # between seeing and acknowledging
        self.state, self.sock, self.next_try = OFF, None, 0.0
        self.connects = 0

    def note(self, text):
        self.ledger.note(self.user, f"{self.name} {text}")

    # --- connecting ---

    def connect(self, now):
        self.received, self.outgoing = bytearray(), bytearray()
        self.unacked, self.seq, self.session = collections.deque(), 0, "?"
        self.due = collections.deque()  # acknowledgements that wait: (when, seq)
        self.flap_at = now + self.fleet.rng.uniform(0.05, 1.5)
        self.since = self.heard = self.beat = now
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        status = self.sock.connect_ex(self.addresses[self.turn % len(self.addresses)])
        if status not in (0, errno.EINPROGRESS):
            self.drop("refused")
            return
        self.state = CONNECTING
        self.fleet.selector.register(self.sock, selectors.EVENT_WRITE, self)

    def drop(self, why, is_reset=True):
        """Ends the connection; the next goes to another gateway, soon."""
        if self.sock:
            try:
                self.fleet.selector.unregister(self.sock)
            except (KeyError, ValueError):
                pass
            if is_reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
        if self.state == OPEN:
            self.note(f"loses {self.session}: {why}; {len(self.unacked)} unacknowledged")
        self.sock, self.state = None, OFF
        self.turn += 1
        self.next_try = time.monotonic() + self.fleet.rng.uniform(0.05, 0.4)

    def move(self):
        """A second connection of this device, elsewhere; the first goes on until Herald ends it, or for 3 s."""
        if self.state != OPEN:
            return
        left = Device(self.fleet, self.user, self.name, self.addresses, self.token, self.patience_s)
        for name in ("sock", "state", "received", "outgoing", "unacked", "seq", "session", "since", "heard", "beat",
                     "is_reading", "is_acking", "due"):
            setattr(left, name, getattr(self, name))
        left.leaves_at = time.monotonic() + 3.0
        self.fleet.leaving.append(left)
        self.sock, self.state = None, OFF
        left.want_events()
        self.note(f"opens a second connection beside {left.session}")
        self.turn += 1
        self.next_try = 0.0

    def want_events(self):
        if self.sock and self.state != CONNECTING:
            events = (selectors.EVENT_READ if self.is_reading else 0) | (selectors.EVENT_WRITE if self.outgoing else 0)
            is_known = self.sock in self.fleet.selector.get_map()
            if events and is_known:
                self.fleet.selector.modify(self.sock, events, self)
            elif events:
                self.fleet.selector.register(self.sock, events, self)
            elif is_known:
                self.fleet.selector.unregister(self.sock)

    def send(self, data):
        self.outgoing += data
        self.flush()

    def flush(self):
        try:
            while self.outgoing:
                del self.outgoing[:self.sock.send(self.outgoing)]
        except BlockingIOError:
            pass
        except OSError as error:
            self.drop(f"send: {error.strerror}")
            return
        self.want_events()

    # --- events ---

    def on_event(self, mask):
        try:
            if self.state == CONNECTING:
                self._connected()
            elif mask & selectors.EVENT_WRITE:
                self.flush()
            if self.sock and mask & selectors.EVENT_READ and self.is_reading:
                self._receive()
        except OSError as error:
            self.drop(error.strerror or str(error))

    def _connected(self):
        status = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            self.drop(os.strerror(status))
            return
        host, port = self.addresses[self.turn % len(self.addresses)]
        key = base64.b64encode(os.urandom(16)).decode()
        self.state = UPGRADING
        self.send((f"GET /ws?device={self.name}&token={self.token} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
                   f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())

    def _receive(self):
        data = self.sock.recv(65536)
        if not data:
            self.drop("closed")
            return
        self.heard = time.monotonic()
        self.received += data
        if self.state == UPGRADING:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self.received.startswith(b"HTTP/1.1 101"):
                self.drop(self.received[:40].decode("latin-1"))
                return
            del self.received[:end + 4]
            self.state = OPEN
            self.connects += 1
        sock, batch = self.sock, []
        while self.sock is sock and (frame := take_frame(self.received)):
            self._frame(*frame, batch)
        if batch and self.sock is sock and self.is_acking:
            if self.lag_s:
                self.due.append((self.heard + self.lag_s, self.seq))
            else:
                self._ack(self.seq)

    def _frame(self, opcode, payload, batch):
        if opcode == 9:
            self.send(masked(10, payload))
        elif opcode == 8:
            code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
            self.drop(f"close {code} {payload[2:].decode(errors='replace')}", is_reset=False)
        elif opcode == 1:
            self._message(json.loads(payload), batch)

    def _message(self, message, batch):
        kind = message.get("type")
        if kind == "auth_response":
            self.session = message.get("session", "?")
            if message.get("code") != 200:
                self.note(f"is refused: {message}")
            else:
                self.note(f"opens {self.session}")
        elif kind == "push":
            self._push(message, batch)
        elif kind == "cancel":
            self.ledger.cancelled(self.user, self.name, message["id"])
        elif kind == "reconnect":
            self.drop("asked to move", is_reset=False)

    def _push(self, message, batch):
        seq = message.get("seq")
        if seq is not None:
            if seq != self.seq + 1:
                self.ledger.violate("seq", f"{self.session} of {self.user}: {seq} after {self.seq}", self.user)
            self.seq = seq
            self.unacked.append((seq, message["id"]))
            batch.append(seq)
        self.ledger.seen(self.user, self.name, message["id"], message.get("content"), f"seq {seq} in {self.session}")

    def catch_up(self):
        """A device that acknowledges again begins with what it saw while it did not: nothing may come after that for it."""
        if self.state == OPEN and self.is_acking and self.unacked and not self.due:
            self.due.append((time.monotonic(), self.seq))

    def _ack(self, seq):
        """Of all up to that, or one by one, by id."""
        ids = []
        while self.unacked and self.unacked[0][0] <= seq:
            ids.append(self.unacked.popleft()[1])
        self.ledger.acked(self.user, self.name, ids)
        if len(ids) < 5 and self.fleet.rng.random() < 0.1:
            for message_id in ids:
                self.outgoing += masked(1, json.dumps({"type": "ack", "id": message_id}).encode())
        else:
            self.outgoing += masked(1, b'{"type":"ack","seq":%d}' % seq)
        self.flush()

    # --- time ---

    def tick(self, now):
        if self.state == OFF:
            if self.is_wanted and now >= self.next_try:
                self.connect(now)
        elif not self.is_wanted:
            self.drop("goes away")
        elif self.state != OPEN:
            if now - self.since > OPEN_TIMEOUT_S:
                self.drop("no answer")
        elif self.is_reading and now - self.heard > self.patience_s:
            self.drop("hears nothing")
        elif self.is_flapping and now > self.flap_at:
            self.turn -= self.fleet.rng.random() < 0.6  # mostly to the same gateway
            self.drop("flaps", self.fleet.rng.random() < 0.5)
            self.next_try = 0.0
        elif self.due and now >= self.due[0][0]:
            _, seq = self.due.popleft()
            self._ack(seq)
        elif now - self.beat > HEARTBEAT_S:
            self.beat = now
            self.send(masked(1, b'{"type":"heartbeat","timestamp":1}'))


class Fleet:
    """All devices, and what faults do to them. Public methods may be called from any thread."""

    def __init__(self, ledger, seed):
        self.ledger, self.rng = ledger, random.Random(f"{seed} devices")
        self.selector = selectors.DefaultSelector()
        self.devices, self.orders, self.stopping = {}, collections.deque(), threading.Event()
        self.leaving = []  # connections that were replaced and are still open
        self.thread = threading.Thread(target=self._run, daemon=True)

    def add(self, user, name, addresses, token):
        patience = self.rng.choice((3.0, 3.0, 12.0))
        self.devices[user, name] = Device(self, user, name, addresses, token, patience)

    def start(self):
        self.thread.start()

    def of_users(self, users):
        return [d for d in self.devices.values() if d.user in users]

    def each(self, users, do):
        """Runs do(device) for every device of the users, in the fleet's thread; returns when it is done."""
        done = threading.Event()
        self.orders.append((lambda: [do(d) for d in self.of_users(users)], done))
        done.wait(10)

    def wait_open(self, timeout):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if all(d.state == OPEN and d.session != "?" for d in self.devices.values() if d.is_wanted):
                return True
            time.sleep(0.02)
        return False

    def _run(self):
        while not self.stopping.is_set():
            for key, mask in self.selector.select(0.01) if self.selector.get_map() else self._idle():
                key.data.on_event(mask)
            while self.orders:
                order, done = self.orders.popleft()
                order()
                done.set()
            now = time.monotonic()
            for device in self.devices.values():
                device.tick(now)
            for device in self.leaving:
                if device.sock and device.due and now >= device.due[0][0]:
                    device._ack(device.due.popleft()[1])
                if device.sock and now > device.leaves_at:
                    device.drop("was replaced, and Herald did not say so")
                    self.ledger.counts["replaced connections that stayed"] += 1
            self.leaving = [device for device in self.leaving if device.sock]
        for device in self.devices.values():
            device.is_wanted = False
            device.drop("end")

    @staticmethod
    def _idle():
        time.sleep(0.02)
        return []

    def stop(self):
        self.stopping.set()
        self.thread.join(10)
