"""Scenario files and thresholds: what is accepted, what is refused and with which words, when a goal is met."""

import pytest
import scenario
from threshold import Threshold, ThresholdError

GOOD = """
title: All of it
about: >
  Two lines
  become one.
short: true
floor: send
connections: 500
ramp: 1000
warm_up: 500ms
duration: 1m
streams:
  - {to: users, class: durable, rate: 7, size: 300, group: 5, burst: 2, fields: {from: orders, ttlMs: 5}}
cluster: {gateways: 2, set: {lane.messages: 10}}
thresholds:
  cpu: "<= 1.5 x floor"
  p99: "<= 5 ms"
"""


def test_a_file_becomes_a_scenario():
    s = scenario.parse("all", GOOD)
    assert (s.name, s.title, s.about, s.kind, s.short) == ("all", "All of it", "Two lines become one.", "delivery", True)
    assert (s.connections, s.ramp, s.warm_up, s.duration) == (500, 1000, 0.5, 60)
    assert s.stand == scenario.Stand(gateways=2, options=(("lane.messages", "10"),))
    assert s.streams[0].argument() == \
        'to=users,class=durable,rate=7,size=300,group=5,burst=2,fields="from": "orders", "ttlMs": 5'
    assert [t.metric for t in s.thresholds] == ["cpu", "p99"]


@pytest.mark.parametrize("change, words", [
    (("connections: 500", "conections: 500"), "no 'conections'"),
    (("connections: 500", "connections: many"), "connections: 'many' is not a number"),
    (("duration: 1m", "duration: soon"), "duration: 'soon' is not a duration"),
    (("to: users", "to: everyone"), "to: 'everyone' is not one of"),
    (("to: users", "to: all"), "what goes to all is volatile"),
    (("short: true", "kind: dance"), "kind: 'dance' is not one of"),
    (("floor: send", "floor: none"), "a threshold asks for a floor"),
    (("p99:", "p98:"), "no such metric"),
    (("<= 5 ms", "<= 5 us"), "the unit is 'ms'"),
    (("<= 5 ms", "5 ms"), "is not like"),
    (("streams:", "streams: ["), "while parsing"),
])
def test_what_is_wrong_is_said(change, words):
    with pytest.raises(scenario.ScenarioError) as error:
        scenario.parse("all", GOOD.replace(*change))
    assert words in str(error.value) and str(error.value).startswith("all: ")


def test_a_delivery_without_streams_is_refused():
    with pytest.raises(scenario.ScenarioError, match="needs streams"):
        scenario.parse("x", "title: nothing")


def test_every_file_of_the_folder_is_a_scenario():
    known = scenario.load_all()
    assert len(known) >= 10
    for s in known.values():
        assert s.thresholds and s.title != s.name


def test_scenarios_with_equal_clusters_share_one():
    one = scenario.parse("a", GOOD)
    other = scenario.parse("b", GOOD.replace("rate: 7", "rate: 8"))
    assert one.stand == other.stand
    assert one.stand != scenario.parse("c", GOOD.replace("gateways: 2", "gateways: 3")).stand


def test_a_threshold_of_its_own_unit():
    t = Threshold.parse("p99", "<= 5 ms")
    assert t.is_met(5) and not t.is_met(5.1) and not t.is_met(None)
    assert str(t) == "<= 5 ms"
    assert Threshold.parse("connect_rate", ">= 10_000 /s").is_met(10000)
    assert str(Threshold.parse("connect_rate", ">= 10_000 /s")) == ">= 10,000 /s"


def test_a_threshold_of_the_floor_needs_one():
    t = Threshold.parse("cpu", "<= 1.6 x floor")
    assert t.is_met(16, 10) and not t.is_met(16.1, 10) and not t.is_met(1, None)
    assert t.absolute(10) == 16


def test_a_threshold_without_relation_is_refused():
    with pytest.raises(ThresholdError):
        Threshold.parse("cpu", "about 5 us")


def test_what_is_counted_needs_a_counted_round():
    text = GOOD + "  allocations: '<= 0.05'\n"
    with pytest.raises(scenario.ScenarioError, match="counters: true"):
        scenario.parse("a", text)
    assert scenario.parse("a", text + "counters: true\n").thresholds[-1].metric == "allocations"
