"""The judge itself: what is right passes, and each thing that is wrong is found. Run by `make chaos` before anything is broken."""

import os
import random
import struct
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "live"), os.path.join(HERE, "..", "..", "deploy", "local")]

import judge  # noqa: E402
from faults import KillRouter  # noqa: E402
from ledger import Ledger  # noqa: E402
from message import Message, Record  # noqa: E402

USER = "u04"


class Story:
    """What happened to some messages, told to a ledger."""

    def __init__(self):
        self.ledger = Ledger()

    def message(self, n, kind="durable", device=None, offset=None, ttl_ms=0, priority="normal", collapse=None):
        m = Message(f"m1-{kind}-{n}", USER, kind, n, device, ttl_ms, priority, collapse)
        self.ledger.produced(m)
        self.ledger.accepted([m], 0, USER, 0, n if offset is None else offset)
        return m

    def each(self, n):
        copies = [Message(f"m1-each-{n}", USER, "each", n, device) for device in ("d1", "d2")]
        for m in copies:
            self.ledger.produced(m)
        self.ledger.accepted(copies, 0, USER, 0, n)
        return copies

    def again(self, m, n):
        m.records.append(Record(n))
        self.ledger.accepted([m], len(m.records) - 1, USER, 0, n)

    def sees(self, m, device="d1", is_acking=True):
        self.ledger.seen(USER, device, m.id, m.id, "here")
        if is_acking:
            self.ledger.acked(USER, device, [m.id])

    def outcome(self, m, kind, reason=None, offset=None, device=None):
        self.ledger.outcome({"id": m.id, "user": USER, "device": device or m.device, "outcome": kind, "reason": reason, "router": "rt1-r0",
                             "offset": f"herald.push/0/{m.n if offset is None else offset}"}, time.time())

    def well(self, m, device="d1"):
        self.sees(m, device)
        self.outcome(m, "acked")

    def verdict(self):
        judge.judge_all(self.ledger)
        return [v.kind for v in self.ledger.violations]


def text(value):
    return struct.pack("!h", len(value)) + value.encode()


def generation(story, at):
    story.ledger.commits.take(struct.pack("!h", 2) + text("g"), struct.pack("!h", 3) + text("consumer") +
                              struct.pack("!i", 1) + text("range"), at)


def committed(story, offset):
    story.ledger.commits.take(struct.pack("!h", 1) + text("g") + text("herald.push") + struct.pack("!i", 0),
                              struct.pack("!hq", 3, offset), time.time())


@pytest.fixture
def story():
    return Story()


def test_acknowledged_is_well(story):
    for n in range(3):
        story.well(story.message(n))
    assert story.verdict() == []


def test_lost(story):
    story.outcome(story.message(1), "stored")
    assert story.verdict() == ["lost"]


def test_seen_is_not_acknowledged(story):
    m = story.message(1)
    story.sees(m, is_acking=False)
    story.outcome(m, "stored")
    assert story.verdict() == ["lost"]


def test_wiped_is_not_lost(story):
    m = story.message(1)
    story.outcome(m, "stored")
    story.ledger.wiped({(USER, ""): [m.id]})
    assert story.verdict() == []


def test_order(story):
    first, second = story.message(1), story.message(2)
    story.well(second)
    story.well(first)
    assert story.verdict() == ["order"]


def test_priorities_are_orders_of_their_own(story):
    first, second = story.message(1), story.message(2, priority="high")
    story.well(second)
    story.well(first)
    assert story.verdict() == []


def test_outcome_missing_and_wrong(story):
    story.sees(story.message(1))
    never = story.message(2)
    story.outcome(never, "acked")
    story.ledger.wiped({(USER, ""): [never.id]})
    assert story.verdict() == ["outcome missing", "outcome wrong"]


def test_repeated_outcome_needs_a_reading(story):
    begin = time.time()
    generation(story, begin - 100)
    committed(story, 1)
    m = story.message(1)
    story.well(m)
    story.outcome(m, "acked")
    assert story.verdict() == ["outcome repeated"]


def test_uncommitted_is_read_again(story):
    generation(story, time.time() - 100)
    committed(story, 1)
    m = story.message(1)
    story.well(m)
    generation(story, time.time())
    story.outcome(m, "acked")
    assert story.verdict() == []


def test_committed_is_not_read_again(story):
    generation(story, time.time() - 100)
    committed(story, 1)
    m = story.message(1)
    story.well(m)
    committed(story, 2)
    generation(story, time.time())
    story.outcome(m, "acked")
    assert story.verdict() == ["outcome repeated"]


def test_later_fate_is_one(story):
    generation(story, time.time() - 100)
    committed(story, 1)
    m = story.message(1)
    story.outcome(m, "stored")
    story.sees(m)
    story.outcome(m, "acked", "mailbox")
    assert story.verdict() == []
    m = story.message(2)
    story.outcome(m, "stored")
    story.sees(m)
    story.outcome(m, "acked", "mailbox")
    story.outcome(m, "acked", "mailbox")
    assert story.verdict() == ["outcome repeated"]


def test_later_fate_may_come_first(story):
    m = story.message(1)
    story.sees(m)
    story.outcome(m, "acked", "mailbox")
    story.outcome(m, "stored")
    assert story.verdict() == []


def test_later_fate_is_told_again_when_the_answer_is_missing(story):
    m = story.message(1)
    story.outcome(m, "stored")
    story.sees(m)
    story.outcome(m, "acked", "mailbox")
    story.ledger.troubled(time.time() - 1, time.time(), KillRouter(random.Random(1)))
    story.outcome(m, "acked", "mailbox")
    assert story.verdict() == []


def test_each_has_a_fate_on_every_device(story):
    one, two = story.each(1)
    story.well(one, "d1")
    story.outcome(two, "stored")
    assert story.verdict() == ["lost"]


def test_each_while_devices_were_forgotten(story):
    story.ledger.forgets_devices([USER])
    one, _ = story.each(1)
    story.well(one, "d1")
    assert story.verdict() == []


def test_collapsed_gives_way_to_a_newer_one_only(story):
    older, newer = story.message(1, "collapse", collapse="a"), story.message(2, "collapse", collapse="a")
    story.outcome(older, "dropped", "collapsed")
    story.well(newer)
    assert story.verdict() == []
    story.outcome(story.message(3, "collapse", collapse="b"), "dropped", "collapsed")
    assert story.verdict() == ["lost", "outcome wrong"]


def test_each_read_again_after_devices_were_forgotten(story):
    generation(story, time.time() - 100)
    committed(story, 1)
    one, two = story.each(1)
    story.sees(one, "d1")
    story.well(two, "d2")
    story.ledger.forgets_devices([USER])
    generation(story, time.time())
    story.ledger.outcome({"id": one.id, "user": USER, "outcome": "stored", "router": "rt1-r0", "offset": "herald.push/0/1"}, time.time())
    assert story.verdict() == []


def collapsed_and_seen_late(story, is_told=True, key_of_the_newer="a"):
    older, newer = story.message(1, "collapse", collapse="a"), story.message(2, "collapse", collapse=key_of_the_newer)
    if is_told:
        story.outcome(older, "dropped", "collapsed")
    story.well(newer)
    story.well(older)


def test_collapsed_and_read_again_may_come_late(story):
    generation(story, time.time() - 100)
    committed(story, 1)
    generation(story, time.time())
    collapsed_and_seen_late(story)
    assert story.verdict() == []


@pytest.mark.parametrize("key, verdict", (("a", []), ("b", ["order"])))
def test_collapsed_by_a_router_that_died_before_it_could_say_so(story, key, verdict):
    generation(story, time.time() - 100)
    committed(story, 1)
    generation(story, time.time())
    collapsed_and_seen_late(story, False, key)
    assert story.verdict() == verdict


def test_collapsed_and_not_read_again(story):
    generation(story, time.time() - 100)
    committed(story, 1)
    collapsed_and_seen_late(story)
    assert story.verdict() == ["order", "outcome repeated"]


def test_same_id_again(story):
    m = story.message(1)
    story.again(m, 5)
    story.well(m)
    story.outcome(m, "duplicate", "herald.push/0/1", offset=5)
    assert story.verdict() == []


def test_same_id_is_delivered_again(story):
    m = story.message(1)
    story.again(m, 5)
    story.well(m)
    story.outcome(m, "acked", offset=5)
    assert story.verdict() == ["not recognised"]


def test_same_id_has_no_outcome(story):
    m = story.message(1)
    story.again(m, 5)
    story.well(m)
    assert story.verdict() == ["outcome missing"]


def test_cancel_without_acknowledgement(story):
    m = story.message(1, "once")
    story.ledger.cancelled(USER, "d2", m.id)
    story.well(m)
    assert story.verdict() == ["cancel"]


def test_what_waits_for_who_is_away(story):
    kept, lost = story.message(1), story.message(2)
    judge.judge_boxes(story.ledger, {USER}, {(USER, ""): [kept.id]})
    assert [v.kind for v in story.ledger.violations] == ["lost"] and lost.id in story.ledger.violations[0].text


def test_order_in_the_mailbox(story):
    first, second = story.message(1), story.message(2)
    judge.judge_boxes(story.ledger, {USER}, {(USER, ""): [second.id, first.id]})
    assert [v.kind for v in story.ledger.violations] == ["order"]
