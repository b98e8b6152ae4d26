"""What really happened, written down by the producer and the clients, never by Herald: which messages Kafka accepted, what
each device saw and acknowledged, what a flush of Redis took, what the outcome and dead-letter topics say. It decides."""

import collections
import threading
import time

from commits import Commits
from message import BAD, Copies, EACH, ONCE

EVENTS_KEPT = 600
UNKNOWN_SLACK_S = 5.0  # a router may use what it had read of a user's devices a little longer


class Violation(Exception):
    def __init__(self, kind, text, user=None):
        super().__init__(f"{kind}: {text}")
        self.kind, self.text, self.user = kind, text, user


class Ledger:
    def __init__(self):
        self.lock = threading.RLock()
        self.open = {}      # Message.key: Message; until the checkpoint that settles it
        self.copies = {}    # (id, user): Copies, for those to each device
        self.newest = {}    # (user, collapse key, priority): number of the newest that Kafka has
        self.unknown = {}   # user: until when Redis may not know all devices
        self.commits = Commits()
        self.violations = []
        self.events = collections.defaultdict(lambda: collections.deque(maxlen=EVENTS_KEPT))
        self.highest = {}   # (user, device, flow, priority): (n, id) of the last first sight
        self.last_seen = collections.defaultdict(float)  # user: when the newest message that it saw was produced
        self.positions = {}  # key: last offset accepted, to check the producer itself
        self.letters = set()  # ids of records that are in the dead-letter topic
        self.trouble = []   # (from, to, what): times in which ids cannot be claimed, or are forgotten
        self.silence = []   # (from, to, what): times in which the answer to a later outcome may not come, so that it is told again
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
            self.open[message.key] = message
            if message.kind == EACH:
                group = self.copies.setdefault((message.id, message.user), Copies(message.user in self.unknown))
                group.all.append(message)
                message.copies = group

    def accepted(self, messages, i, key, partition, offset):
        """Their i-th record. The offset is None when Kafka had taken it at an earlier try whose answer was lost."""
        with self.lock:
            if offset is not None:
                if self.positions.get((key, partition), -1) >= offset:
                    self.violate("harness", f"Kafka's offsets of key {key} went back at {messages[0].id}")
                self.positions[key, partition] = offset
            for m in messages:
                m.records[i].position = f"{partition}/{offset}"
                self.counts["accepted" if i == 0 else "accepted again"] += 1
                if m.collapse:
                    self.newest[m.user, m.collapse, m.priority] = m.n
            for user in {m.user for m in messages}:
                self.note(user, f"kafka has {messages[0].id} at {partition}/{offset}")

    def never_accepted(self, messages, i):
        """Kafka does not have it, and will not: it promises nothing."""
        with self.lock:
            self.counts["never accepted"] += 1
            for m in messages if i == 0 else ():
                self.open.pop(m.key, None)
                if m.copies:
                    m.copies.all.remove(m)

    def find(self, message_id, user, device=None):
        return self.open.get((message_id, user)) or self.open.get((message_id, user, device))

    # --- the clients ---

    def seen(self, user, device, message_id, content, where):
        """A push reached a device. Judged at once: unknown, altered, out of order."""
        with self.lock:
            self.note(user, f"{device} sees {message_id} {where}")
            message = self.find(message_id, user, device)
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
        if not message.is_ordered():
            return
        self.last_seen[message.user] = max(self.last_seen[message.user], message.produced_mono)
        key = (message.user, device, message.flow, message.priority)
        highest, highest_id = self.highest.get(key, (-1, None))
        if message.n >= highest:
            self.highest[key] = (message.n, message.id)
        elif max(r.n for r in message.records) < highest:  # a later record of the same id may be the one that comes
            text = f"{device} of {message.user} saw {highest_id} (n={highest}) before {message.id} (n={message.n}, {message.priority})"
            if self.is_superseded(message):
                message.overtaken = text  # judged when it is known what was told of it
            else:
                self.violate("order", text, message.user)

    def acked(self, user, device, message_ids):
        with self.lock:
            for message_id in message_ids:
                message = self.find(message_id, user, device)
                if message and not message.acked:
                    message.acked = True
                    self.counts["acked"] += 1

    def cancelled(self, user, device, message_id):
        """Another device was first to acknowledge it, is said."""
        with self.lock:
            self.counts["cancels"] += 1
            message = self.find(message_id, user, device)
            if message and not (message.kind == ONCE and message.acked):
                self.violate("cancel", f"{device} is told to take back {message}", user)

    # --- Redis ---

    def wiped(self, boxes, why="flush takes"):
        """{(user, device or ""): ids} that mailboxes held and hold no longer. What Redis knew of devices may be gone, too."""
        with self.lock:
            for (user, device), ids in boxes.items():
                self.note(user, f"{why} {ids}")
                for message_id in ids:
                    message = self.find(message_id, user, device)
                    group = self.copies.get((message_id, user))
                    for m in [message] if message else group.all if group else ():
                        if not m.wiped:
                            m.wiped = True
                            self.counts["wiped" if not m.acked else "wiped after its ack"] += 1

    def forgets_devices(self, users):
        with self.lock:
            self.unknown.update((user, None) for user in users)
            for (_, user), group in self.copies.items():
                group.is_loose |= user in users  # also what all have acknowledged: it may be read again, and find no device

    def knows_devices(self, user):
        """Told again and again while all its devices are in Redis."""
        with self.lock:
            if self.unknown[user] is None:
                self.unknown[user] = time.monotonic() + UNKNOWN_SLACK_S
            elif time.monotonic() > self.unknown[user]:
                del self.unknown[user]

    # --- Herald's topics ---

    def outcome(self, outcome, at):
        user = outcome.get("user", "")
        with self.lock:
            outcome["_at"], outcome["_read_at"] = at, time.time()  # the first by the router's clock, which may be wrong
            message = self.find(outcome.get("id"), user, outcome.get("device")) or self.open.get((outcome.get("id"), ""))
            if message is None and (group := self.copies.get((outcome.get("id"), user))):
                group.outcomes.append(outcome)  # no device was known
                return
            if message is None:
                self.counts["outcomes late"] += 1
                return
            self.note(user, f"outcome {outcome['outcome']} {outcome.get('reason', '')} of {message.id} by "
                            f"{outcome['router']} {outcome.get('instance', '')}")
            message.outcomes.append(outcome)
            self.counts["outcome " + outcome["outcome"]] += 1

    def letter(self, message_id):
        with self.lock:
            self.counts["letters"] += 1
            self.letters.add(message_id)

    def troubled(self, begin, end, fault):
        with self.lock:
            if fault.unclaims:
                self.trouble.append((begin, end, str(fault)))
            if fault.silences:
                self.silence.append((begin, end, str(fault)))

    # --- questions ---

    def flowed_since(self, mark, users):
        """Has each of them seen something that was produced after the mark?"""
        with self.lock:
            return [user for user in users if self.last_seen[user] <= mark]

    def is_superseded(self, m):
        """By a newer one with the same collapse key, so that it need not arrive."""
        return m.collapse and self.newest.get((m.user, m.collapse, m.priority), -1) > m.n

    def unfinished(self):
        """What is accepted and has no fate yet, by the clients' word alone."""
        with self.lock:
            return [m for m in self.open.values() if m.position and m.is_durable() and
                    not (m.has_fate() or self.is_superseded(m))]

    def without_outcome(self):
        with self.lock:
            return [m for m in self.open.values() if m.position and not m.has_outcomes()]

    def without_letter(self):
        with self.lock:
            return [m for m in self.open.values() if m.position and m.kind == BAD and m.id not in self.letters]

    def unaccepted(self):
        with self.lock:
            return [m for m in self.open.values() if not m.position]
