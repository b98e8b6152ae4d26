"""What one record promises to one target, and what is known of it: the ledger's entries."""

import time

DURABLE, LISTED, TTL, DEVICE, VOLATILE, BAD = "durable", "list", "ttl", "device", "volatile", "bad"
ONCE, COLLAPSE, EACH = "once", "collapse", "each"
ORDERED = (DURABLE, TTL, DEVICE, ONCE, COLLAPSE, EACH)  # keyed by their user; lists promise no order
CLOCK_SLACK_MS = 1500  # of one machine's clock readings at different places


class Record:
    """A record in Kafka. A message has further ones when the producer writes it again with the same id."""

    __slots__ = ("n", "produced_at", "position")

    def __init__(self, n):
        self.n, self.produced_at, self.position = n, time.time(), None  # "partition/offset"; offset None: taken at an earlier try

    def partition_and_offset(self):
        partition, offset = self.position.split("/")
        return int(partition), None if offset == "None" else int(offset)


class Copies:
    """The copies of one message for each device of a user."""

    __slots__ = ("all", "outcomes", "is_loose")

    def __init__(self, is_loose):
        self.all, self.outcomes = [], []
        self.is_loose = is_loose  # Redis may not have known every device: then it has to arrive at one of them


class Message:
    """One message to one target: a list has several with the same id, and so has `devices: each`."""

    __slots__ = ("id", "user", "device", "kind", "n", "records", "produced_mono", "expires_ms", "sights", "acked", "wiped",
                 "outcomes", "priority", "collapse", "copies", "overtaken")

    def __init__(self, message_id, user, kind, n, device=None, ttl_ms=0, priority="normal", collapse=None):
        self.id, self.user, self.kind, self.n, self.device = message_id, user, kind, n, device
        self.priority, self.collapse, self.copies = priority, collapse, None
        self.overtaken = None  # by what it was, when it was seen at last
        self.records, self.produced_mono = [Record(n)], time.monotonic()
        self.expires_ms = int(time.time() * 1000) + ttl_ms if ttl_ms else 0
        self.sights = {}  # device: how often
        self.acked = self.wiped = False
        self.outcomes = []

    @property
    def position(self):
        return self.records[0].position

    @property
    def key(self):
        return (self.id, self.user, self.device) if self.kind == EACH else (self.id, self.user)

    @property
    def flow(self):
        """Which mailbox it waits in; with its priority, what it is in order with."""
        return self.device or ""

    def is_durable(self):
        return self.kind not in (VOLATILE, BAD)

    def is_ordered(self):
        return self.kind in ORDERED and not (self.copies and self.copies.is_loose)

    def is_expired(self, slack_ms=0):
        return self.expires_ms and time.time() * 1000 >= self.expires_ms - slack_ms

    def has_fate(self):
        """By the word of the clients and of the one who emptied Redis, never by Herald's."""
        if self.acked or self.wiped or self.is_expired():
            return True
        return bool(self.copies and self.copies.is_loose and any(m.acked or m.wiped for m in self.copies.all))

    def has_outcomes(self):
        """One at least for each of its records."""
        told = {o.get("offset") for o in self.outcomes}
        if self.copies and self.copies.is_loose:
            told |= {o.get("offset") for told in (self.copies.outcomes, *(m.outcomes for m in self.copies.all)) for o in told}
        return len(told) >= sum(r.position is not None for r in self.records)

    def __str__(self):
        places = ", ".join(str(r.position) for r in self.records)
        more = "".join(f", {name}={value}" for name, value in (("priority", self.priority), ("collapse", self.collapse))
                       if value not in (None, "normal")) + (", loose" if self.copies and self.copies.is_loose else "")
        return (f"{self.id} to {self.user}{'/' + self.device if self.device else ''} ({self.kind}, n={self.n}{more}, at "
                f"{places}, seen {self.sights}, acked={self.acked}, wiped={self.wiped}, outcomes="
                f"{[(o['outcome'], o.get('reason'), o['router'], o.get('offset')) for o in self.outcomes]})")
