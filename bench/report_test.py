"""Reports: verdicts, text, the page and its charts."""

import json
import re
import xml.etree.ElementTree as ET

import chart
import counters
import pytest
import report_html
import report_text
import result
from loads import wrong_with
from threshold import Threshold

ABOUT = {"cores": 2, "cpu": "<cpu> & co", "memory_gib": 24, "kernel": "6.1", "load": 0.1, "started": "2026-01-01", "broker": "kafka",
         "seconds": 5}
LATENCY = {f"{q}_us": 100 * (i + 1) for i, (q, _) in enumerate(chart.QUANTILES)}
SAMPLES = [{"at_s": t, "received": 1000, "up": 10, "behind_us": 5, "p50_us": 100, "p99_us": 900} for t in (1.0, 2.0, 3.0, 3.01)]
REPORT = {"connections": 10, "expected": 3000, "received": 3000, "lost": 0, "late": 0, "repeated": 0, "closed": 0, "seconds": 3.0,
          "latency": LATENCY, "streams": [{"expected": 3000, "received": 3000, "latency": LATENCY}], "samples": SAMPLES}


@pytest.fixture
def measured():
    r = result.Result("volatile", "To <one> user", "about it", "delivery", ["10 connections"], floors=[8.0, 10.0, 9.0])
    for cpu in (18.0, 14.0, 16.0):
        r.add(cpu=cpu, p99=4.0)
    r.by_process = {"gateway": [9.0, 10.0], "router": [5.0, 6.0], "redis": [0.0, 0.1]}
    r.reports = [REPORT, REPORT]
    r.counters = counters.per_message(
        {k: {f: (0, 0) for f in ("allocations", "allocated_bytes", "copies", "copied_bytes")} for k in counters.KINDS},
        {k: {f: (300, 30) for f in ("allocations", "allocated_bytes", "copies", "copied_bytes")} for k in counters.KINDS},
        {"gateway": {"all": 450, "sendmsg": 300, "poll": 1}}, 300)
    r.counters.update(content_bytes=512, messages=300)
    return r.judge([Threshold.parse("cpu", "<= 1.6 x floor"), Threshold.parse("p99", "<= 5 ms"), Threshold.parse("idle", "<= 1 us/s")])


def test_a_verdict_is_of_the_medians(measured):
    cpu, p99, idle = measured.checks
    assert (cpu.value, cpu.low, cpu.high, cpu.floor, cpu.is_met) == (16.0, 14.0, 18.0, 9.0, False)
    assert p99.is_met and p99.floor is None
    assert idle.value is None and not idle.is_met
    assert not measured.is_met()


def test_a_void_round_fails_a_scenario_that_met_its_goals():
    r = result.Result("x", "x")
    r.add(p99=1.0)
    assert r.judge([Threshold.parse("p99", "<= 5 ms")]).is_met()
    r.void.append("3 lost")
    assert not r.is_met()


def test_what_makes_a_report_void():
    assert wrong_with(REPORT) == ""
    assert wrong_with(dict(REPORT, lost=2, repeated=1)) == "2 lost, 1 repeated"
    assert wrong_with(dict(REPORT, closed=2)) == "2 closed"
    assert wrong_with(dict(REPORT, closed=2, back_ms=5.0)) == ""


def test_text_has_measured_floor_ratio_and_goal(measured):
    text = report_text.scenario(measured)
    assert re.search(r"CPU a message +16 us +\(14 \.\. 18\) +1\.78 x floor +goal <= 1\.6 x floor +MISSED", text)
    assert re.search(r"latency p99 .* goal <= 5 ms +met", text)
    assert "1 of 3 goals met" in report_text.summary([measured], ABOUT)
    assert re.search(r"gateway +1 +0\.10 +1 +0\.10 +1\.50 +sendmsg 1", report_text.counters(measured))


def test_json_keeps_everything(measured):
    again = result.from_json(json.loads(json.dumps(measured.to_json())))
    assert again.to_json() == json.loads(json.dumps(measured.to_json()))


def test_the_page_stands_alone(measured):
    text = report_html.page([measured], ABOUT)
    assert "&lt;cpu&gt; &amp; co" in text and "To &lt;one&gt; user" in text and "<one>" not in text
    assert not re.search(r'(src|href)="(?!#)|url\(|@import|<script', text)
    assert "1<small>/3" in text and "≤ 1.6 × floor" in text
    drawings = re.findall(r"<svg.*?</svg>", text, re.S)
    assert len(drawings) >= 5
    for drawing in drawings:
        ET.fromstring(drawing)


def test_a_page_of_what_broke_off(measured):
    broken = result.Result("x", "Broken", void=["broke off: <no>"]).judge([Threshold.parse("p99", "<= 5 ms")])
    text = report_html.page([broken], ABOUT)
    assert "not measured" in text and "&lt;no&gt;" in text and "1 rounds void" in text


def test_a_bullet_ends_at_its_line_where_the_goal_is_just_met(measured):
    check = measured.checks[1]
    check.value = check.low = check.high = check.limit
    drawing = ET.fromstring(chart.bullet(check))
    bar, goal = drawing.findall("rect")[1], drawing.find("line")
    assert abs(float(bar.get("width")) - float(goal.get("x1"))) < 0.2


@pytest.mark.parametrize("low, high", [(0, 1), (0, 97), (0, 30000), (3, 3), (0.2, 0.9)])
def test_ticks_cover_their_range(low, high):
    ticks = chart.nice_ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high and 2 <= len(ticks) <= 9


@pytest.mark.parametrize("low, high", [(0.5, 0.6), (0.06, 120), (1, 1), (5, 5000)])
def test_logarithmic_ticks_cover_their_range(low, high):
    ticks = chart.log_ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high and ticks == sorted(set(ticks))


def test_the_last_moment_is_no_bar_of_its_own():
    drawing = ET.fromstring(chart.rate(SAMPLES))
    assert len(drawing.findall("rect")) == 3


def test_perf_output():
    text = "# started\n\n450;;raw_syscalls:sys_enter;1;100.00;;\n300;;syscalls:sys_enter_sendmsg;1;100.00;;\n<not counted>;;x:y;0;0;;\n"
    assert counters.parse_perf(text) == {"all": 450, "sendmsg": 300}
    assert counters.parse_perf("Error: no permission\n") is None


@pytest.mark.parametrize("value, text", [(None, "-"), (0.051, "0.05"), (9.876, "9.88"), (12.34, "12.3"), (512, "512"),
                                         (313833.2, "313,833"), (0, "0")])
def test_numbers(value, text):
    assert report_text.number(value) == text


def test_what_is_counted_is_of_gateway_and_router_together():
    daemon = {"allocations": {"own": 0.1, "libraries": 3.0}, "copied_bytes": {"own": 512, "libraries": 256}}
    counted = {"content_bytes": 512, "gateway": {**daemon, "syscalls": {"all": 1.5}, "writes": 1.0},
               "router": {**daemon, "syscalls": {"all": 0.25}}}
    assert counters.totals(counted) == {"allocations": 6.2, "body_copies": 3.0, "more_calls": 0.75}
    del counted["router"]["syscalls"]  # where perf may not count
    assert "more_calls" not in counters.totals(counted)
