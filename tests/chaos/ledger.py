"""What really happened, written down by the producer and the clients, never by Herald: which messages Kafka accepted, what
each device saw and acknowledged, what a flush of Redis took, what the outcome and dead-letter topics say. It decides."""

import collections
import threading
import time

DURABLE, LISTED, TTL, DEVICE, VOLATILE, BAD = "durable", "list", "ttl", "device", "volatile", "bad"
ORDERED = (DURABLE, TTL, DEVICE)  # keyed by their user; lists promise no order
CLOCK_SLACK_MS = 1500             # of one machine's clock readings at different places
EVENTS_KEPT = 600


class Message:
    """One message to one user: a list has several with the same id."""

    __slots__ = ("id", "user", "device", "kind", "n", "position", "produced_at", "expires_ms", "sights", "seen_at",
                 "acked", "wiped", "outcomes")

    def __init__(self, message_id, user, kind, n, device=None, ttl_ms=0):
        self.id, self.user, self.kind, self.n, self.device = message_id, user, kind, n, device
        self.produced_at = time.monotonic()
        self.expires_ms = int(time.time() * 1000) + ttl_ms if ttl_ms else 0
        self.position = self.seen_at = None
        self.sights = {}  # device: how often
        self.acked = self.wiped = False
        self.outcomes = []

    @property
    def flow(self):
        return self.device or ""

    def is_durable(self):
        return self.kind in (DURABLE, LISTED, TTL, DEVICE)

    def is_expired(self, slack_ms=0):
        return self.expires_ms and time.time() * 1000 >= self.expires_ms - slack_ms

    def __str__(self):
        return (f"{self.id} to {self.user}{'/' + self.device if self.device else ''} ({self.kind}, n={self.n}, at "
                f"{self.position}, seen {self.sights}, acked={self.acked}, wiped={self.wiped}, outcomes="
                f"{[(o['outcome'], o.get('reason'), o['router']) for o in self.outcomes]})")


class Violation(Exception):
    def __init__(self, kind, text, user=None):
        super().__init__(f"{kind}: {text}")
        self.kind, self.text, self.user = kind, text, user


class Ledger:
    def __init__(self):
        self.lock = threading.RLock()
        self.open = {}      # (id, user): Message; until the checkpoint that settles it
        self.violations = []
        self.events = collections.defaultdict(lambda: collections.deque(maxlen=EVENTS_KEPT))
        self.highest = {}   # (user, device, flow): (n, id) of the last first sight
        self.last_seen = collections.defaultdict(float)  # user: when the newest message that it saw was produced
        self.positions = {}  # key: last offset accepted, to check the producer itself
        self.letters = set()  # ids of records that are in the dead-letter topic
        self.trouble = []   # (from, to, what): times in which redelivery is allowed
        self.counts = collections.Counter()
        self.skew_ms = 0    # by which a clock was wrong since the last reckoning

    # --- notes ---

    def note(self, user, text):
        self.events[user].append((time.time(), text))

    def violate(self, kind, text, user=None):
        with self.lock:
            self.counts["violation " + kind] += 1
            self.violations.append(Violation(kind, text, user))
            if user:
                self.note(user, f"VIOLATION {kind}: {text}")

    # --- the producer ---

    def produced(self, message):
        with self.lock:
            self.open[message.id, message.user] = message

    def accepted(self, message_id, users, key, partition, offset):
        """The offset is None when Kafka had taken it at an earlier try whose answer was lost."""
        with self.lock:
            if offset is not None:
                if self.positions.get((key, partition), -1) >= offset:
                    self.violate("harness", f"Kafka's offsets of key {key} went back at {message_id}")
                self.positions[key, partition] = offset
            for user in users:
                self.open[message_id, user].position = f"{partition}/{offset}"
                self.counts["accepted"] += 1
                self.note(user, f"kafka has {message_id} at {partition}/{offset}")

    # --- the clients ---

    def seen(self, user, device, message_id, content, where):
        """A push reached a device. Judged at once: unknown, altered, out of order."""
        with self.lock:
            self.note(user, f"{device} sees {message_id} {where}")
            message = self.open.get((message_id, user))
            if message is None:
                self._seen_again(user, device, message_id)
                return
            if content != message_id and not str(content).startswith(message_id + " "):
                self.violate("altered", f"{message_id} says {str(content)[:60]}", user)
            if message.device not in (None, device) or message.kind == BAD:
                self.violate("misdirected", f"{message} at {device}", user)
            is_first = not message.sights
            message.sights[device] = message.sights.get(device, 0) + 1
            self.counts["sights"] += 1
            if is_first:
                self._first_sight(message, device)
            elif message.sights[device] > 1:
                self.counts["duplicates"] += 1

    def _seen_again(self, user, device, message_id):
        """Of a message that an earlier checkpoint settled, or that never was."""
        prefix, _, _ = message_id.rpartition("-")
        if message_id.count("-") != 2 or not prefix.startswith("m"):
            self.violate("unknown", f"{device} of {user} got {message_id}, which nobody produced", user)
        else:
            self.counts["duplicates late"] += 1

    def _first_sight(self, message, device):
        message.seen_at = time.monotonic()
        if message.kind not in ORDERED:
            return
        self.last_seen[message.user] = max(self.last_seen[message.user], message.produced_at)
        key = (message.user, device, message.flow)
        highest, highest_id = self.highest.get(key, (-1, None))
        if message.n < highest:
            self.violate("order", f"{device} of {message.user} saw {highest_id} (n={highest}) before {message.id} "
                                  f"(n={message.n})", message.user)
        else:
            self.highest[key] = (message.n, message.id)

    def acked(self, user, message_ids):
        with self.lock:
            for message_id in message_ids:
                message = self.open.get((message_id, user))
                if message and not message.acked:
                    message.acked = True
                    self.counts["acked"] += 1

    # --- Redis ---

    def wiped(self, boxes):
        """{user: ids} that mailboxes held at the moment they were flushed."""
        with self.lock:
            for user, ids in boxes.items():
                self.note(user, f"flush takes {ids}")
                for message_id in ids:
                    message = self.open.get((message_id, user))
                    if message and not message.wiped:
                        message.wiped = True
                        self.counts["wiped" if not message.acked else "wiped after its ack"] += 1

    # --- Herald's topics ---

    def outcome(self, outcome, at):
        user = outcome.get("user", "")
        with self.lock:
            message = self.open.get((outcome.get("id"), user)) or self.open.get((outcome.get("id"), ""))
            if message is None:
                self.counts["outcomes late"] += 1
                return
            self.note(user, f"outcome {outcome['outcome']} {outcome.get('reason', '')} of {message.id} by "
                            f"{outcome['router']} {outcome.get('instance', '')}")
            outcome["_at"] = at
            message.outcomes.append(outcome)
            self.counts["outcome " + outcome["outcome"]] += 1

    def letter(self, message_id):
        with self.lock:
            self.counts["letters"] += 1
            self.letters.add(message_id)

    def troubled(self, begin, end, what):
        with self.lock:
            self.trouble.append((begin, end, what))

    # --- questions ---

    def flowed_since(self, mark, users):
        """Has each of them seen something that was produced after the mark?"""
        with self.lock:
            return [user for user in users if self.last_seen[user] <= mark]

    def unfinished(self):
        """What is accepted and has no fate yet, by the clients' word alone."""
        with self.lock:
            return [m for m in self.open.values() if m.position and m.is_durable() and
                    not (m.acked or m.wiped or m.is_expired())]

    def without_outcome(self):
        with self.lock:
            return [m for m in self.open.values() if m.position and not m.outcomes]

    def without_letter(self):
        with self.lock:
            return [m for m in self.open.values() if m.position and m.kind == BAD and m.id not in self.letters]

    def unaccepted(self):
        with self.lock:
            return [m for m in self.open.values() if not m.position]
