"""Charts as SVG text, to stand in the HTML page; colours are the classes and variables of its style sheet."""

import math
from html import escape

from report_text import number

SERIES = ("s0", "s1", "s2", "s3", "s4", "s5")
SLIVER_S = 0.2  # the last sample may be of a moment only
QUANTILES = (("p50", "50"), ("p75", "75"), ("p90", "90"), ("p95", "95"), ("p99", "99"), ("p999", "99.9"), ("p9999", "99.99"),
             ("max", "max"))


def _text(x, y, text, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'


def _svg(width, height, parts, label):
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label, quote=True)}">'
            f'{"".join(parts)}</svg>')


def nice_ticks(low, high, wanted=4):
    """Round numbers that cover low .. high."""
    if high <= low:
        high = low + 1
    rough = (high - low) / wanted
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= rough * 0.999)
    first = math.floor(low / step) * step
    return [first + step * i for i in range(math.ceil((high - first) / step - 1e-9) + 1)]


def log_ticks(low, high):
    """1, 2, 5 of each decade, or only the decades, from at most low to at least high."""
    begin, end = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1,) if end - begin > 3 else (1, 2, 5)
    ticks = sorted({s * 10.0 ** e for e in range(begin, end + 1) for s in steps})
    first = max((t for t in ticks if t <= low), default=ticks[0])
    last = min((t for t in ticks if t >= high), default=ticks[-1])
    return [t for t in ticks if first <= t <= last]


def bullet(check, width=260, height=26):
    """Measured as a part of the goal: the goal is a line, what is good ends before it."""
    if check.value is None or check.limit is None:
        return ""
    shares = [_share(check, value) for value in (check.value, check.low, check.high)]
    scale = (width - 8) / 2
    value, low, high = (min(s, 2) * scale for s in shares)
    y = height / 2
    parts = [f'<rect x="0" y="{y - 6}" width="{width}" height="12" rx="6" class="track"/>',
             f'<rect x="0" y="{y - 6}" width="{max(value, 4):.1f}" height="12" rx="6" class="{"good" if check.is_met else "bad"}"/>']
    if abs(high - low) > 1:
        parts.append(f'<line x1="{min(low, high):.1f}" x2="{max(low, high):.1f}" y1="{y}" y2="{y}" class="whisker"/>')
    if shares[0] > 2:
        parts.append(_text(width - 10, y + 4, "»", "over", "end"))
    parts.append(f'<line x1="{scale:.1f}" x2="{scale:.1f}" y1="{y - 11}" y2="{y + 11}" class="goal"/>')
    return _svg(width, height, parts, f"{number(shares[0])} of the goal")


def _share(check, value):
    """1 is the goal, below is better."""
    if check.relation == "<=":
        return value / check.limit if check.limit else (0 if value <= 0 else 2.5)
    return check.limit / value if value else 2.5


def stacked(parts_by_name, mark=None, mark_label="", unit="us", width=620):
    """One horizontal bar of parts, largest first, with a mark; and its legend."""
    parts = sorted(((n, v) for n, v in parts_by_name.items() if v > 0), key=lambda item: -item[1])
    total = sum(v for _, v in parts)
    span = max(total, mark or 0) * 1.04 or 1
    drawn, x = [], 0.0
    for i, (name, value) in enumerate(parts):
        w = value / span * width
        drawn.append(f'<rect x="{x:.1f}" y="22" width="{max(w, 1):.1f}" height="26" class="fill {SERIES[i % 6]}">'
                     f"<title>{escape(name)}: {number(value)} {unit}</title></rect>")
        if w > 42:
            drawn.append(_text(x + w / 2, 39.5, number(value), "inside", "middle"))
        x += w
    if mark:
        at = mark / span * width
        anchor = "start" if at < width * 0.8 else "end"
        drawn.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="14" y2="54" class="goal"/>')
        drawn.append(_text(at + (4 if anchor == "start" else -4), 11, f"{mark_label} {number(mark)} {unit}", "axis", anchor))
    legend_x = 0.0
    for i, (name, value) in enumerate(parts):
        label = f"{name} {number(value)} {unit}"
        drawn.append(f'<rect x="{legend_x:.1f}" y="66" width="10" height="10" rx="2" class="fill {SERIES[i % 6]}"/>')
        drawn.append(_text(legend_x + 15, 75, label, "axis"))
        legend_x += 15 + 6.6 * len(label) + 18
    return _svg(width, 82, drawn, f"{number(total)} {unit} by process")


class _Frame:
    """The plane of a chart: axes with ticks, and where a point lies in it."""

    def __init__(self, width, height, x_range, y_ticks, is_log=False, y_unit=""):
        self.width, self.height, self.is_log = width, height, is_log
        self.left, self.right, self.top, self.bottom = 50, 22, 12, 26
        self.x0, self.x1 = x_range
        self.y_ticks, self.y0, self.y1 = y_ticks, y_ticks[0], y_ticks[-1]
        self.y_unit = y_unit

    def x(self, value):
        return self.left + (value - self.x0) / ((self.x1 - self.x0) or 1) * (self.width - self.left - self.right)

    def y(self, value):
        if self.is_log:
            share = (math.log10(max(value, self.y0)) - math.log10(self.y0)) / ((math.log10(self.y1) - math.log10(self.y0)) or 1)
        else:
            share = (value - self.y0) / ((self.y1 - self.y0) or 1)
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)

    def grid(self, x_labels):
        parts = []
        for i, tick in enumerate(self.y_ticks):
            y = self.y(tick)
            unit = f" {self.y_unit}" if i == len(self.y_ticks) - 1 else ""
            parts.append(f'<line x1="{self.left}" x2="{self.width - self.right}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
            parts.append(_text(self.left - 7, y + 4, f"{tick:,.4g}{unit}" if tick < 10000 else f"{tick / 1000:,.4g}k{unit}",
                               "axis", "end"))
        parts += [_text(self.x(at), self.height - 8, label, "axis", "middle") for at, label in x_labels]
        return parts

    def line(self, points, kind):
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f'<polyline points="{path}" class="line {kind}"/>'

    def dots(self, points, kind, unit):
        return [f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3.2" class="fill {kind}">'
                f"<title>{number(y)} {unit}</title></circle>" for x, y in points]


def percentiles(latencies, names, width=340, height=200):
    """Latency against the share of messages, one curve for each; ms, logarithmic."""
    values = [max(latency[f"{q}_us"], 1) / 1e3 for latency in latencies for q, _ in QUANTILES]
    if not values:
        return ""
    frame = _Frame(width, height, (0, len(QUANTILES) - 1), log_ticks(min(values), max(values)), True, "ms")
    parts = frame.grid([(i, label) for i, (_, label) in enumerate(QUANTILES)])
    for i, latency in enumerate(latencies):
        points = [(at, max(latency[f"{q}_us"], 1) / 1e3) for at, (q, _) in enumerate(QUANTILES)]
        parts.append(frame.line(points, SERIES[i % 6]))
        parts += frame.dots(points, SERIES[i % 6], f"ms, {names[i]}")
    return _svg(width, height, parts, "latency by percentile") + legend(names)


def over_time(samples, width=340, height=200):
    """p50 and p99 of each second."""
    ends = [0.0] + [s["at_s"] for s in samples]
    seen = [s for s, before in zip(samples, ends) if s["p99_us"] > 0 and s["at_s"] - before > SLIVER_S]
    if len(seen) < 2:
        return ""
    values = [max(s[q], 1) / 1e3 for s in seen for q in ("p50_us", "p99_us")]
    frame = _Frame(width, height, (0, seen[-1]["at_s"]), log_ticks(min(values), max(values)), True, "ms")
    parts = frame.grid([(t, f"{t:g} s") for t in nice_ticks(0, seen[-1]["at_s"], 4) if t <= seen[-1]["at_s"]])
    for kind, q in (("s0", "p50_us"), ("s1", "p99_us")):
        points = [(s["at_s"], max(s[q], 1) / 1e3) for s in seen]
        parts.append(frame.line(points, kind))
        parts += frame.dots(points, kind, "ms")
    return _svg(width, height, parts, "latency over time") + legend(["p50", "p99"])


def rate(samples, width=340, height=200, field="received", unit="/s"):
    """Bars: what each second brought."""
    seen, before = [], 0.0
    for s in samples:
        span = s["at_s"] - before
        if span > SLIVER_S:
            seen.append((s["at_s"], s[field] / span if field == "received" else s[field]))
        before = s["at_s"]
    if len(seen) < 2:
        return ""
    frame = _Frame(width, height, (0, seen[-1][0]), nice_ticks(0, max(v for _, v in seen)), y_unit=unit)
    parts = frame.grid([(t, f"{t:g} s") for t in nice_ticks(0, seen[-1][0], 4) if t <= seen[-1][0]])
    bar = (width - frame.left - frame.right) / len(seen) * 0.72
    for at, value in seen:
        top = frame.y(value)
        parts.append(f'<rect x="{frame.x(at) - bar - 1:.1f}" y="{top:.1f}" width="{bar:.1f}" '
                     f'height="{max(frame.y(0) - top, 0.5):.1f}" rx="2" class="fill s0"><title>{number(value)} {unit}</title></rect>')
    return _svg(width, height, parts, f"{field} over time")


def slope(points, width=340, height=200):
    """MiB over connections."""
    mib = [(n, b / 2**20) for n, b in points]
    frame = _Frame(width, height, (0, mib[-1][0]), nice_ticks(0, max(b for _, b in mib)), y_unit="MiB")
    parts = frame.grid([(t, f"{t:,.0f}") for t in nice_ticks(0, mib[-1][0], 3) if t <= mib[-1][0]])
    parts.append(frame.line(mib, "s0"))
    parts += frame.dots(mib, "s0", "MiB")
    return _svg(width, height, parts, "memory over connections")


def legend(names):
    items = "".join(f'<span><i class="{SERIES[i % 6]}"></i>{escape(name)}</span>' for i, name in enumerate(names))
    return f'<div class="legend">{items}</div>'
