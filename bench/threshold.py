"""What a scenario is to reach: a metric, a relation, a limit, and the verdict on what was measured."""

import dataclasses
import re

# metric -> unit, what it is called in reports
METRICS = {
    "cpu": ("us", "CPU a message"),
    "p50": ("ms", "latency p50"),
    "p95": ("ms", "latency p95"),
    "p99": ("ms", "latency p99"),
    "p999": ("ms", "latency p99.9"),
    "success": ("%", "delivered"),
    "memory": ("B", "user memory a connection"),
    "idle": ("us/s", "idle CPU a connection"),
    "connect": ("us", "CPU a new connection"),
    "connect_rate": ("/s", "new connections a second of CPU"),
    "router": ("us", "CPU of the router a message"),
    "router_rate": ("/s", "messages a second of the router's CPU"),
    "unused": ("s", "until no router uses the dead gateway"),
    "back": ("s", "until all clients are back"),
    "mailbox_writes": ("", "writes to mailboxes"),
    "allocations": ("", "allocations a message, libraries included"),
    "body_copies": ("", "copies of a body a message"),
    "more_calls": ("", "system calls a message beyond the write"),
}
COUNTED = ("allocations", "body_copies", "more_calls")  # known only after a round of their own (counters.py)

_PATTERN = re.compile(r"^\s*(<=|>=)\s*([0-9][0-9_.]*)\s*(.*?)\s*$")


class ThresholdError(Exception):
    """The text says what is wrong."""


@dataclasses.dataclass(frozen=True)
class Threshold:
    metric: str
    relation: str
    limit: float
    is_of_floor: bool  # the limit is a multiple of the floor

    @classmethod
    def parse(cls, metric, text):
        if metric not in METRICS:
            raise ThresholdError(f"{metric}: no such metric; there are {', '.join(METRICS)}")
        found = _PATTERN.match(str(text))
        if not found:
            raise ThresholdError(f"{metric}: {text!r} is not like '<= 1.5 ms'")
        relation, number, unit = found.groups()
        if unit not in ("x floor", METRICS[metric][0]):
            raise ThresholdError(f"{metric}: the unit is {METRICS[metric][0]!r} or 'x floor', not {unit!r}")
        return cls(metric, relation, float(number.replace("_", "")), unit == "x floor")

    def absolute(self, floor):
        """The limit in the metric's own unit; None: there is no floor to multiply."""
        if not self.is_of_floor:
            return self.limit
        return self.limit * floor if floor else None

    def is_met(self, value, floor=None):
        limit = self.absolute(floor)
        if value is None or limit is None:
            return False
        return value <= limit if self.relation == "<=" else value >= limit

    def __str__(self):
        unit = "x floor" if self.is_of_floor else METRICS[self.metric][0]
        return f"{self.relation} {self.limit:,.10g} {unit}".rstrip()
