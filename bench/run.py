#!/usr/bin/env python3
"""`make bench`: the figures of this machine beside their goals and the raw floor of the same run.

    bench/run.py                        the short set (scenarios with `short: true`), under 10 minutes
    bench/run.py --only volatile,idle   these, by name
    bench/run.py --all                  every one of bench/scenarios
    bench/run.py --scenario FILE        one of your own

Writes report.html and report.json into build/bench. Exit status: 0 all thresholds are met, 1 some are not or a round was
void, 2 something is wrong with a scenario or the machine. What is measured and how: docs/benchmarks.md."""

import argparse
import datetime
import json
import os
import platform
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import report_html  # noqa: E402
import report_text  # noqa: E402
import scenario as scenarios  # noqa: E402
from loads import ROOT, BenchError  # noqa: E402
from threshold import COUNTED  # noqa: E402


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next((line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")), platform.machine())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(pages / 2**30, 1), "kernel": platform.release(),
            "load": os.getloadavg()[0]}


def chosen(args):
    known = scenarios.load_all()
    if args.scenario:
        return [scenarios.load(path) for path in args.scenario]
    if args.only:
        unknown = [name for name in args.only.split(",") if name not in known]
        if unknown:
            raise scenarios.ScenarioError(f"{unknown[0]}: no such scenario; there are {', '.join(known)}")
        return [known[name] for name in args.only.split(",")]
    return [s for s in known.values() if s.short or args.all]


class Runner:
    """Runs scenarios one after the other; those with equal stands share a cluster."""

    def __init__(self, args):
        from measure import KINDS
        from stage import Stage
        self.kinds, self.stage_class = KINDS, Stage
        self.args, self.stage, self.stand = args, None, None

    def stage_for(self, stand):
        if self.stand != stand:
            self.end()
            self.stage, self.stand = self.stage_class(stand, self.args.broker), stand
        return self.stage

    def end(self):
        if self.stage is not None:
            self.stage.down()
        self.stage = self.stand = None

    def run(self, scenario):
        """Its Result; a scenario that breaks off is a void one, and the next gets a fresh cluster."""
        from result import Result
        begun = time.monotonic()
        if scenario.kind == "memory":
            self.end()
        try:
            result = self.kinds[scenario.kind](scenario, self.stage_for(scenario.stand), scenario.rounds or self.args.rounds)
        except Exception as error:  # whatever it is, the other scenarios are still of interest
            traceback.print_exc()
            result = Result(scenario.name, scenario.title, scenario.about, scenario.kind, void=[f"broke off: {error}"])
            self.end()
        result.judge(t for t in scenario.thresholds if t.metric not in COUNTED)
        result.seconds = time.monotonic() - begun
        return result

    def count(self, scenario, result):
        """Counters need a cluster of their own: nothing else may run beside it."""
        import counters
        self.end()
        try:
            result.counters, why = counters.count(scenario, self.args.broker)
        except Exception as error:
            traceback.print_exc()
            result.counters, why = {}, f"broke off: {error}"
        if why:
            result.notes.append(f"nothing was counted: {why}")
            result.counters = {}
        else:
            result.add(**counters.totals(result.counters))


def run_all(args, wanted):
    runner, results = Runner(args), []
    try:
        # those that share a cluster come together; a gateway that has had connections has memory left for new ones
        wanted = sorted(wanted, key=lambda s: (s.kind != "memory", repr(s.stand)))
        for scenario in wanted:
            results.append(runner.run(scenario))
            print(report_text.scenario(results[-1]), flush=True)
        for scenario, result in zip(wanted, results):
            if not scenario.counters or args.no_counters:
                continue
            if result.reports:
                runner.count(scenario, result)
                print(report_text.counters(result), flush=True)
            result.judge(t for t in scenario.thresholds if t.metric in COUNTED)
    finally:
        runner.end()
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append", metavar="FILE")
    parser.add_argument("--only", metavar="NAME,...")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--broker", default="kafka", choices=("kafka", "embedded"))
    parser.add_argument("--no-counters", action="store_true")
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "bench"), metavar="FOLDER")
    args = parser.parse_args()
    begun = time.monotonic()
    try:
        wanted = chosen(args)
    except (scenarios.ScenarioError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    about = dict(machine(), started=datetime.datetime.now().astimezone().isoformat(timespec="seconds"), broker=args.broker)
    print(report_text.head(about, args.rounds), flush=True)
    try:
        results = run_all(args, wanted)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    about["seconds"] = round(time.monotonic() - begun)
    print(report_text.summary(results, about))
    os.makedirs(args.out, exist_ok=True)
    data = {"about": about, "scenarios": [result.to_json() for result in results]}
    with open(os.path.join(args.out, "report.json"), "w") as out:
        json.dump(data, out, indent=1)
    with open(os.path.join(args.out, "report.html"), "w") as out:
        out.write(report_html.page(results, about))
    print(f"{os.path.join(args.out, 'report.html')}  report.json")
    return 0 if all(result.is_met() for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
