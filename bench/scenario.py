"""A scenario: one YAML file of bench/scenarios (docs/benchmarks.md has the fields)."""

import dataclasses
import json
import os
import re

import yaml

from threshold import COUNTED, Threshold, ThresholdError

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scenarios")
KINDS = ("delivery", "memory", "idle", "connect", "router", "reconnect")
FLOORS = ("send", "paced", "writev", "accept", "none")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60}


class ScenarioError(Exception):
    """The text says which file, and what is wrong with it."""


def seconds(value):
    """5, "5s", "500ms", "1m" -> seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    found = re.fullmatch(r"([0-9.]+)\s*(ms|s|m)", str(value))
    if not found:
        raise ValueError(f"{value!r} is not a duration")
    return float(found.group(1)) * _SECONDS[found.group(2)]


@dataclasses.dataclass(frozen=True)
class Stream:
    """Pushes of one kind at a steady rate."""
    to: str = "user"  # user, users, all
    delivery: str = "volatile"  # or durable
    rate: int = 1000  # pushes a second
    size: int = 128  # bytes of the content
    group: int = 10  # users a push, where `to` is users
    burst: int = 1  # so many are due at once
    fields: str = ""  # further members of the push, JSON text without braces

    def argument(self):
        text = f"to={self.to},class={self.delivery},rate={self.rate},size={self.size},group={self.group},burst={self.burst}"
        return text + (f",fields={self.fields}" if self.fields else "")


@dataclasses.dataclass(frozen=True)
class Stand:
    """What a scenario is run against; scenarios with equal ones share a cluster."""
    gateways: int = 1
    workers: int = 2
    routers: int = 1
    partitions: int = 1
    options: tuple = ()  # of the daemons: (("section.key", "value"), ...)


@dataclasses.dataclass
class Scenario:
    name: str  # of the file
    title: str
    kind: str = "delivery"
    about: str = ""
    short: bool = False  # belongs to `make bench`
    floor: str = "none"
    batch: int = 10  # frames a writev(), where that is the floor
    connections: int = 10000
    points: tuple = ()  # memory: connections at which it is looked at
    ramp: int = 0
    reconnect: float = 0
    kill_at: float = 3
    warm_up: float = 1
    duration: float = 6
    linger: float = 0
    rest: float = 0  # of a client between two looks, so that it does not have to be woken
    messages: int = 0  # router: how many wait in Kafka when it begins
    rounds: int = 0  # 0: as the command line says
    counters: bool = False
    streams: tuple = ()
    stand: Stand = Stand()
    thresholds: tuple = ()


def _number(value):
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a number")
    return value


def _flag(value):
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _one_of(words):
    def choose(value):
        if value not in words:
            raise ValueError(f"{value!r} is not one of {', '.join(words)}")
        return value
    return choose


def _mapping(value):
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not a mapping")
    return value


def _listing(value):
    if not isinstance(value, list) or not value:
        raise ValueError(f"{value!r} is not a list")
    return value


def _taken(where, mapping, fields):
    """The mapping's values by these readers; an unknown name is a mistake."""
    taken = {}
    for name, value in _mapping(mapping).items():
        if name not in fields:
            raise ValueError(f"{where} has no {name!r}; there are {', '.join(fields)}")
        target, read = fields[name]
        try:
            taken[target] = read(value)
        except (ValueError, ThresholdError) as error:
            raise ValueError(f"{name}: {error}") from None
    return taken


_STREAM = {"to": ("to", _one_of(("user", "users", "all"))), "class": ("delivery", _one_of(("volatile", "durable"))),
           "rate": ("rate", _number), "size": ("size", _number), "group": ("group", _number), "burst": ("burst", _number),
           "fields": ("fields", lambda value: json.dumps(_mapping(value))[1:-1])}
_STAND = {"gateways": ("gateways", _number), "workers": ("workers", _number), "routers": ("routers", _number),
          "partitions": ("partitions", _number),
          "set": ("options", lambda value: tuple(sorted((k, str(v)) for k, v in _mapping(value).items())))}


def _stream(value):
    stream = Stream(**_taken("a stream", value, _STREAM))
    if stream.to == "all" and stream.delivery == "durable":
        raise ValueError("what goes to all is volatile")
    return stream


_SCENARIO = {
    "title": ("title", str), "about": ("about", lambda text: " ".join(str(text).split())), "kind": ("kind", _one_of(KINDS)),
    "short": ("short", _flag), "floor": ("floor", _one_of(FLOORS)), "batch": ("batch", _number),
    "connections": ("connections", _number), "points": ("points", lambda value: tuple(map(_number, _listing(value)))),
    "ramp": ("ramp", _number), "reconnect": ("reconnect", seconds), "kill_at": ("kill_at", seconds),
    "warm_up": ("warm_up", seconds), "duration": ("duration", seconds), "linger": ("linger", seconds), "rest": ("rest", seconds),
    "messages": ("messages", _number), "rounds": ("rounds", _number), "counters": ("counters", _flag),
    "streams": ("streams", lambda value: tuple(map(_stream, _listing(value)))),
    "cluster": ("stand", lambda value: Stand(**_taken("a cluster", value, _STAND))),
    "thresholds": ("thresholds", lambda value: tuple(Threshold.parse(k, v) for k, v in _mapping(value).items())),
}


def parse(name, text):
    try:
        scenario = Scenario(name=name, **{"title": name, **_taken("a scenario", yaml.safe_load(text), _SCENARIO)})
        if scenario.kind in ("delivery", "reconnect", "router") and not scenario.streams:
            raise ValueError(f"kind {scenario.kind} needs streams")
        if any(t.is_of_floor for t in scenario.thresholds) and scenario.floor == "none":
            raise ValueError("a threshold asks for a floor, and there is none")
        if any(t.metric in COUNTED for t in scenario.thresholds) and not scenario.counters:
            raise ValueError("a threshold asks for what is counted: that needs `counters: true`")
    except (yaml.YAMLError, ValueError, ThresholdError) as error:
        raise ScenarioError(f"{name}: {error}") from None
    return scenario


def load(path):
    with open(path) as text:
        return parse(os.path.splitext(os.path.basename(path))[0], text.read())


def load_all():
    """Those of bench/scenarios, by name."""
    return {s.name: s for s in (load(os.path.join(FOLDER, f)) for f in sorted(os.listdir(FOLDER)) if f.endswith(".yaml"))}
