"""The report as text: what a scenario measured, beside its goal and the floor of the same run."""

import statistics

from threshold import COUNTED


def number(value):
    """Three or four figures, thousands separated."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def verdict(check):
    return "met" if check.is_met else "MISSED"


def ratio(check):
    return f"{check.value / check.floor:.2f} x floor" if check.floor and check.value is not None else ""


def check_line(check):
    spread = f"({number(check.low)} .. {number(check.high)})" if check.value is not None else "(not measured)"
    return (f"    {check.label:<38} {number(check.value):>9} {check.unit:<5} {spread:<20} {ratio(check):<14} "
            f"goal {check.goal:<15} {verdict(check)}").rstrip()


def _extra(result):
    """Figures that no threshold asks for."""
    if result.by_process:
        parts = {kind: statistics.median(values) for kind, values in result.by_process.items()}
        yield "    us by process: " + ", ".join(f"{kind} {number(us)}" for kind, us in parts.items())
    if result.reports:
        last = result.reports[-1]
        latency = ", ".join(f"{name[:-3]} {number(us / 1e3)}" for name, us in last["latency"].items())
        yield f"    ms in the last round: {latency}"
        behind = max((s["behind_us"] for s in last["samples"]), default=0) / 1e3
        yield (f"    {last['received']:,} messages received and checked in {last['seconds']:.1f} s; the generator was at most "
               f"{number(behind)} ms late")


def scenario(result):
    lines = [f"\n{result.title}  [{result.name}, {result.seconds:.0f} s]"]
    lines += [f"    {'; '.join(result.facts)}"] if result.facts else []
    if result.floors:
        lines.append(f"    raw floor: {', '.join(number(us) for us in result.floors)} us")
    lines += [check_line(check) for check in result.checks]
    lines += _extra(result)
    lines += [f"    {note}" for note in dict.fromkeys(result.notes)]
    lines += [f"    VOID: {why}" for why in result.void]
    return "\n".join(lines)


def counters(result):
    """A table: allocations, copies, system calls for each message."""
    if not result.counters:
        return "\n".join([f"\n{result.title}: counters", *(f"    {n}" for n in result.notes if n.startswith("nothing"))])
    content = result.counters["content_bytes"]
    lines = [f"\n{result.title}: counted over {result.counters['messages']:,} messages; a message each  [{result.name}]",
             f"    {'':<10} {'allocations':>22} {f'bytes copied (>= 256)':>24} {'system calls':>14}",
             f"    {'':<10} {'own':>11} {'libraries':>10} {'own':>13} {'libraries':>10}"]
    for kind in ("gateway", "router", "registry", "redis"):
        entry = result.counters.get(kind, {})
        calls = entry.get("syscalls")
        cells = [number(entry[name][side]) if name in entry else "" for name in ("allocations", "copied_bytes")
                 for side in ("own", "libraries")]
        lines.append(f"    {kind:<10} {cells[0]:>11} {cells[1]:>10} {cells[2]:>13} {cells[3]:>10} "
                     f"{number(calls['all']) if calls else 'no perf':>14}  {_calls(calls)}".rstrip())
    lines += [check_line(check) for check in result.checks if check.metric in COUNTED]
    lines.append(f"    writes to client sockets: {number(result.counters['gateway'].get('writes'))}; content {content} bytes")
    return "\n".join(lines)


def _calls(calls):
    named = sorted(((n, c) for n, c in (calls or {}).items() if n != "all"), key=lambda item: -item[1])
    return ", ".join(f"{name} {number(c)}" for name, c in named[:6])


def head(about, rounds):
    return (f"{about['cores']} x {about['cpu']}, {about['memory_gib']} GiB, Linux {about['kernel']}, load {about['load']:.1f} at "
            f"the start; servers on core 0, clients on core 1; {rounds} rounds, medians (lowest .. highest)")


def summary(results, about):
    lines = ["\nAll goals"]
    for result in results:
        for check in result.checks:
            lines.append(f"    {verdict(check):<7} {result.name:<16} {check.label:<38} {number(check.value):>9} {check.unit:<5} "
                         f"{ratio(check):<14} goal {check.goal}".rstrip())
        lines += [f"    VOID    {result.name:<16} {why}" for why in result.void]
    met = sum(check.is_met for result in results for check in result.checks)
    total = sum(len(result.checks) for result in results)
    lines.append(f"{met} of {total} goals met in {about['seconds']} s")
    return "\n".join(lines)
