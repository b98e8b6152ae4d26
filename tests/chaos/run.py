#!/usr/bin/env python3
"""Seeded faults against a real cluster, judged by an independent ledger. `make chaos SEED=n FAULTS=n`; see README.md."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "live"), os.path.join(HERE, "..", "..", "deploy", "local")]

import network  # noqa: E402
import schedule  # noqa: E402
from report import Report  # noqa: E402
from world import World  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--rate", type=float, default=100, help="messages a second")
    parser.add_argument("--checkpoint", type=int, default=15, help="faults between two reckonings")
    parser.add_argument("--overlap", type=int, default=3, help="at most so many faults at a time")
    parser.add_argument("--alone", type=float, default=0.4, help="share of the faults' groups that are one fault alone")
    parser.add_argument("--only", default="", help="kinds of faults, as `kill worker,reconnect storm`")
    parser.add_argument("--brokers", type=int, default=1, choices=(1, 3), help="of Kafka")
    parser.add_argument("--dir", help="logs and data; kept (default: a temporary folder, kept only after a violation)")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--keep-going", action="store_true", help="after a violation, too")
    parser.add_argument("--no-network", action="store_true", help="without cuts and full disks, which need root")
    parser.add_argument("--slow", type=float, default=10, help="a recovery that takes longer leaves a dump, too")
    parser.add_argument("--seconds", type=float, default=0, help="stop after so long")
    args = parser.parse_args()
    names = [name for name in args.only.split(",") if name]
    args.has_network = not args.no_network and network.enter()
    args.kinds = [k for k in schedule.kinds(args.has_network, network.can_mount(), args.brokers) if not names or schedule.name_of(k) in names]
    return args


def run(world, args, report):
    """The number of faults played."""
    rng, played, since_checkpoint = random.Random(f"{args.seed} faults"), 0, 0
    world.up()
    report.say(f"seed {args.seed}: cluster is up in {world.stage.folder}" +
               ("" if args.has_network else "; network and disk are left alone"))
    time.sleep(4)  # time itself: undisturbed traffic, for the baseline
    world.checkpoint(0)
    baseline = world.ledger.counts
    if baseline["duplicates"] or baseline["outcomes repeated"]:
        world.ledger.violate("duplicate", f"without any fault: {dict(baseline)}")
    report.say(f"baseline: {baseline['judged']} messages, {baseline['duplicates']} duplicates")
    while played < args.faults and not (args.seconds and time.monotonic() - report.begin > args.seconds):
        if report.violations() and not args.keep_going:
            return played
        group = schedule.draw_group(rng, args.kinds, args.overlap, args.alone)[:args.faults - played]
        report.recovered(played + 1, world.play(group))
        played += len(group)
        since_checkpoint += len(group)
        if since_checkpoint >= args.checkpoint or played >= args.faults:
            since_checkpoint = 0
            report.violations()
            world.checkpoint()
            report.say(f"reckoning after {played} faults: {world.ledger.counts['judged']} messages judged so far, "
                       f"{world.ledger.counts['duplicates']} duplicates, {len(world.ledger.violations)} violations")
    if since_checkpoint:
        world.checkpoint()
    return played


def main():
    args = arguments()
    folder = args.dir or tempfile.mkdtemp(prefix=f"herald-chaos-{args.seed}-")
    os.makedirs(folder, exist_ok=True)
    world = World(folder, args)
    report = Report(world, args)
    played, status = 0, 1
    try:
        played = run(world, args, report)
        report.violations()
        status = report.table(played)
    finally:
        world.down()
        if status == 0 and not args.dir:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"kept: {folder}")
    return status


if __name__ == "__main__":
    sys.exit(main())
