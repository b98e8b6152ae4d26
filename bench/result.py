"""What a scenario gave: values of each round, verdicts, and what charts are drawn from. Plain data, goes to JSON as it is."""

import dataclasses
import statistics

from threshold import METRICS


@dataclasses.dataclass
class Check:
    """One threshold beside what was measured."""
    metric: str
    label: str
    unit: str
    goal: str
    limit: float  # in the metric's unit; None: its floor is missing
    value: float  # the median; None: not measured
    low: float
    high: float
    floor: float  # of the same run; None: the goal is none of it
    is_met: bool
    relation: str


@dataclasses.dataclass
class Result:
    name: str
    title: str
    about: str = ""
    kind: str = ""
    facts: list = dataclasses.field(default_factory=list)  # how it was run: ["10,000 connections", ...]
    streams: list = dataclasses.field(default_factory=list)  # what each is called
    values: dict = dataclasses.field(default_factory=dict)  # metric -> of each round
    floors: list = dataclasses.field(default_factory=list)  # us, one a round
    by_process: dict = dataclasses.field(default_factory=dict)  # kind -> us a message, of each round
    reports: list = dataclasses.field(default_factory=list)  # of herald-load, one a round
    notes: list = dataclasses.field(default_factory=list)
    void: list = dataclasses.field(default_factory=list)  # why rounds do not count
    points: list = dataclasses.field(default_factory=list)  # memory: (connections, bytes)
    counters: dict = dataclasses.field(default_factory=dict)
    checks: list = dataclasses.field(default_factory=list)
    seconds: float = 0

    def add(self, **metrics):
        for metric, value in metrics.items():
            self.values.setdefault(metric, []).append(value)

    def floor(self):
        return statistics.median(self.floors) if self.floors else None

    def judge(self, thresholds):
        """Adds to checks: these thresholds beside what was measured."""
        floor = self.floor()
        for threshold in thresholds:
            values = self.values.get(threshold.metric, [])
            value = statistics.median(values) if values else None
            unit, label = METRICS[threshold.metric]
            self.checks.append(Check(
                metric=threshold.metric, label=label, unit=unit, goal=str(threshold), limit=threshold.absolute(floor),
                value=value, low=min(values, default=None), high=max(values, default=None),
                floor=floor if threshold.is_of_floor else None, is_met=threshold.is_met(value, floor),
                relation=threshold.relation))
        return self

    def is_met(self):
        return not self.void and all(check.is_met for check in self.checks)

    def to_json(self):
        return dict(dataclasses.asdict(self), floor=self.floor(), is_met=self.is_met())


def from_json(data):
    """The reverse of to_json()."""
    data = {k: v for k, v in data.items() if k not in ("floor", "is_met")}
    return Result(**dict(data, checks=[Check(**check) for check in data["checks"]]))
