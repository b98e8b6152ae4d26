"""The report as one HTML page: charts are inline SVG, nothing is fetched from anywhere."""

import os
import statistics
from html import escape

import chart
from report_text import number, ratio

HERE = os.path.dirname(os.path.abspath(__file__))


def _pretty(text):
    """Escaped, with the signs that plain text does without."""
    return escape(str(text)).replace("&lt;=", "≤").replace("&gt;=", "≥").replace(" us", " µs").replace(" x floor", " × floor")


def _pill(is_met):
    return '<span class="pill good">met</span>' if is_met else '<span class="pill bad">missed</span>'


def _measured(check):
    if check.value is None:
        return '<span class="faint">not measured</span>'
    spread = f'<span class="faint">{number(check.low)} .. {number(check.high)}</span>' if check.high != check.low else ""
    return f"<b>{number(check.value)}</b> {_pretty(' ' + check.unit).strip()} {spread}"


def _goal_row(result, check, is_first):
    title = f'<a href="#{escape(result.name)}">{escape(result.title)}</a>' if is_first else ""
    return (f'<tr class="{"first" if is_first else ""}"><td>{title}</td><td>{escape(check.label)}</td>'
            f'<td class="bullet">{chart.bullet(check)}</td><td class="num">{_measured(check)}</td>'
            f'<td class="num">{_pretty(ratio(check))}</td><td class="num">{_pretty(check.goal)}</td><td>{_pill(check.is_met)}</td></tr>')


def goals(results):
    rows = [_goal_row(result, check, i == 0) for result in results for i, check in enumerate(result.checks)]
    return (f'<section class="panel"><h2>Goals</h2><p class="faint">The bar is what was measured, the line is the goal: a bar that '
            f'ends before its line is good. The thin line is the spread of the rounds.</p><div class="wide"><table class="goals">'
            f"<tr><th></th><th></th><th></th><th>measured</th><th>to the floor</th><th>goal</th><th></th></tr>"
            f'{"".join(rows)}</table></div></section>')


def _figure(title, drawing):
    return f"<figure><figcaption>{escape(title)}</figcaption>{drawing}</figure>" if drawing else ""


def _figures(result):
    figures = []
    if result.points:
        figures.append(_figure("memory of the gateways", chart.slope(result.points)))
    if result.reports and "latency" in result.reports[-1]:
        last = result.reports[-1]
        if len(last["streams"]) > 1:
            drawing = chart.percentiles([s["latency"] for s in last["streams"]], result.streams)
        else:
            drawing = chart.percentiles([r["latency"] for r in result.reports], [f"round {i + 1}" for i in range(len(result.reports))])
        figures.append(_figure("latency by percentile", drawing))
        figures.append(_figure("latency, second by second (last round)", chart.over_time(last["samples"])))
        figures.append(_figure("messages received (last round)", chart.rate(last["samples"])))
        if result.kind == "reconnect":
            figures.append(_figure("connections (last round)", chart.rate(last["samples"], field="up", unit="up")))
    return f'<div class="figures">{"".join(figures)}</div>' if any(figures) else ""


def _cpu(result):
    if not result.by_process:
        return ""
    parts = {kind: statistics.median(values) for kind, values in result.by_process.items()}
    per = "a connection" if result.kind == "connect" else "a message"
    return f'<figure class="row"><figcaption>CPU {per}, by process</figcaption>{chart.stacked(parts, result.floor(), "raw floor")}</figure>'


def _counters(result):
    if not result.counters:
        return ""
    rows = []
    for kind in ("gateway", "router", "registry", "redis"):
        entry = result.counters.get(kind, {})
        cells = [number(entry[name][side]) if name in entry else "" for name in ("allocations", "copied_bytes")
                 for side in ("own", "libraries")]
        calls = entry.get("syscalls") or {}
        named = sorted(((n, c) for n, c in calls.items() if n != "all"), key=lambda item: -item[1])[:5]
        cells.append(number(calls["all"]) if calls else "-")
        rows.append(f'<tr><th>{kind}</th>{"".join(f"<td class=num>{cell}</td>" for cell in cells)}'
                    f'<td class="faint">{escape(", ".join(f"{n} {number(c)}" for n, c in named))}</td></tr>')
    return (f'<h4>Counted, a message</h4><div class="wide"><table class="counters"><tr><th></th><th colspan=2>allocations</th>'
            f"<th colspan=2>bytes copied (256 and more at once)</th><th>system calls</th><th></th></tr>"
            f'<tr class="faint"><td></td><td class=num>own</td><td class=num>libraries</td><td class=num>own</td>'
            f'<td class=num>libraries</td><td></td><td></td></tr>{"".join(rows)}</table></div>'
            f'<p class="faint">A round of its own over {result.counters["messages"]:,} messages with '
            f'{result.counters["content_bytes"]} bytes of content; {number(result.counters["gateway"].get("writes"))} writes to client '
            f"sockets a message.</p>")


def _card(result):
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in result.facts)
    tiles = "".join(f'<div class="tile {"good" if c.is_met else "bad"}"><span>{escape(c.label)}</span><b>{number(c.value)}'
                    f"<small>{_pretty(' ' + c.unit).strip()}</small></b><em>{_pretty(ratio(c))}</em><i>goal {_pretty(c.goal)}</i></div>"
                    for c in result.checks)
    notes = "".join(f"<p class=faint>{_pretty(note)}</p>" for note in dict.fromkeys(result.notes))
    void = "".join(f'<p class="void">void round: {escape(why)}</p>' for why in result.void)
    floors = f"<li>raw floor {number(result.floor())} µs</li>" if result.floors else ""
    return (f'<section class="panel" id="{escape(result.name)}"><h3>{escape(result.title)} <code>{escape(result.name)}</code></h3>'
            f'<p>{escape(result.about)}</p><ul class="facts">{facts}{floors}</ul>{void}<div class="tiles">{tiles}</div>'
            f"{_cpu(result)}{_figures(result)}{_counters(result)}{notes}</section>")


def page(results, about):
    met = sum(c.is_met for r in results for c in r.checks)
    total = sum(len(r.checks) for r in results)
    void = sum(len(r.void) for r in results)
    with open(os.path.join(HERE, "report.css")) as sheet:
        style = sheet.read()
    facts = (f"{about['cores']} × {about['cpu']}", f"{about['memory_gib']} GiB", f"Linux {about['kernel']}",
             f"load {about['load']:.1f} at the start", about["started"], f"{about.get('seconds', 0)} s")
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Herald: benchmark</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head><body><main>'
            f'<header><div><h1>Herald <span>benchmark</span></h1><p class="faint">{escape(" · ".join(map(str, facts)))}</p></div>'
            f'<div class="score"><b>{met}<small>/{total}</small></b><span>goals met{f", {void} rounds void" if void else ""}</span></div>'
            f"</header>{goals(results)}{''.join(_card(r) for r in results)}"
            f'<footer class="faint">CPU is user + system time of all Herald processes and Redis, divided by messages that the clients '
            f"received and checked. Rates are open-loop: latency counts from the moment a message was due. The method: "
            f"docs/benchmarks.md.</footer></main></body></html>\n")
