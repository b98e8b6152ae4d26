"""How each kind of scenario is measured: one function a kind, which fills a Result."""

import json
import os
import signal
import statistics
import threading
import time

from cluster_cpu import rate_at_rest, rate_over, tree
from loads import BenchError, Load, Sink, floor_us, wrong_with
from result import Result

SETTLE_S = 1.5  # after connecting, before anything is looked at: routes are written, timers set
PING_SENDERS, PING_S, PING_BURSTS = 15000, 25, 32  # what the kernel takes for pings alone, sent as a worker sends them
BESIDE = {"writev": "the floor with writev() of {batch} frames",  # measured beside send(), for the notes
          "paced": "the floor at this rate, what is due each ms and then asleep"}
SINK_REST_S = 0.3  # the last results are on their way
ROUTER_WARM = 3  # messages a user before the backlog: routes are cached, buffers have grown


def _spent(before, after):
    return {kind: after[kind] - before.get(kind, 0) for kind in after}


def _arguments(scenario, stage, prefix):
    argv = ["--prefix", prefix, "--ramp", scenario.ramp, "--brokers", stage.cluster.broker.address,
            "--warm-up", round(scenario.warm_up), "--seconds", round(scenario.duration),
            "--linger", round(scenario.linger * 1000), "--rest", round(scenario.rest * 1e6),
            "--reconnect", round(scenario.reconnect * 1000)]
    for stream in scenario.streams:
        argv += ["--stream", stream.argument()]
    return argv


def _take_report(result, report, spent):
    """A round that did what it should: CPU a message, latency."""
    received, latency = max(report["received"], 1), report["latency"]
    result.reports.append(report)
    result.add(cpu=sum(spent.values()) / received, success=100 * report["received"] / max(report["expected"], 1),
               **{name: latency[f"{name}_us"] / 1e3 for name in ("p50", "p95", "p99", "p999")})
    for kind, us in spent.items():
        result.by_process.setdefault(kind, []).append(us / received)


def _result(scenario, facts=()):
    return Result(scenario.name, scenario.title, scenario.about, scenario.kind, list(facts),
                  streams=[f"{s.delivery} to {s.to}, {s.size} B" for s in scenario.streams])


def _facts(scenario, *more):
    facts = [f"{scenario.connections:,} connections", *more]
    for stream in scenario.streams:
        to = {"user": "to one user each", "users": f"to {stream.group} users each", "all": "to all"}[stream.to]
        burst = f", {stream.burst} due at once" if stream.burst > 1 else ""
        facts.append(f"{stream.rate:,} {stream.delivery} pushes/s {to}, {stream.size} B of content{burst}")
    return facts


def delivery(scenario, stage, rounds):
    result = _result(scenario, _facts(scenario, f"{scenario.duration:g} s a round after {scenario.warm_up:g} s of warm-up",
                                       f"the producer lingers {scenario.linger * 1000:g} ms"))
    beside = []
    for i in range(rounds):
        if scenario.floor != "none":
            result.floors.append(floor_us("send", scenario.connections, rest=scenario.rest))
        if scenario.floor in BESIDE:
            beside.append(floor_us(scenario.floor, scenario.connections, batch=scenario.batch, rest=scenario.rest,
                                   rate=scenario.streams[0].rate))
        writes = stage.mailbox_writes()
        try:
            with Load(stage.gateways(), scenario.connections, *_arguments(scenario, stage, f"r{i}-")) as load:
                before = stage.cpu()
                report = load.run()
                spent = _spent(before, stage.cpu())
        except BenchError as error:
            result.void.append(str(error))
            stage.wait_empty()
            continue
        if wrong_with(report):
            result.void.append(wrong_with(report))
        else:
            _take_report(result, report, spent)
            result.add(mailbox_writes=stage.mailbox_writes() - writes)
        stage.wait_empty()
    if beside:
        result.notes.append(f"{BESIDE[scenario.floor].format(batch=scenario.batch)}: {statistics.median(beside):.2f} us a message")
    return result


def memory(scenario, stage, _rounds):
    """Slope of the gateways' PSS over connections, from the first point to the last."""
    result = _result(scenario)
    points = []
    for count in scenario.points:
        with Load(stage.gateways(), count, "--prefix", f"m{count}-"):
            time.sleep(SETTLE_S)
            points.append((count, stage.memory()))
        stage.wait_empty()
    (n0, b0), (n1, b1) = points[0], points[-1]
    result.add(memory=(b1 - b0) / (n1 - n0))
    result.points = points
    result.facts = [f"{n:,} connections: {b / 2**20:.1f} MiB" for n, b in points]
    return result


def idle(scenario, stage, _rounds):
    """CPU us a second for each connection that only answers pings, less what the same processes take without any."""
    result = _result(scenario, _facts(scenario))
    def cpu():
        return sum(stage.cpu().values())
    base = rate_at_rest(cpu)
    with Load(stage.gateways(), scenario.connections, "--prefix", "idle-", "--rest", round(scenario.rest * 1e6)) as load:
        time.sleep(SETTLE_S)
        full = rate_over(cpu, scenario.duration)
        report = load.run()
    if report["closed"]:
        result.void.append(f"{report['closed']} closed")
    result.add(idle=(full - base) / scenario.connections)
    us = floor_us("paced", PING_SENDERS, rest=scenario.rest, rate=PING_SENDERS // PING_S, burst=PING_SENDERS // PING_BURSTS)
    result.notes.append(f"a bare send() to each of {PING_SENDERS:,} connections every {PING_S} s, in as many bursts: {us / PING_S:.2f} us/s")
    result.facts.append(f"over {scenario.duration:g} s; without connections the same processes took {base / 1e3:.1f} ms a second")
    stage.wait_empty()
    return result


def connect(scenario, stage, rounds):
    result = _result(scenario, _facts(scenario))
    took = []
    for i in range(rounds):
        result.floors.append(floor_us("accept", scenario.connections))
        before = stage.cpu()
        with Load(stage.gateways(), scenario.connections, "--prefix", f"c{i}-", "--ramp", scenario.ramp) as load:
            spent = _spent(before, stage.cpu())
            took.append(load.connecting_s)
        us = sum(spent.values()) / scenario.connections
        result.add(connect=us, connect_rate=1e6 / us)
        for kind, of_it in spent.items():
            result.by_process.setdefault(kind, []).append(of_it / scenario.connections)
        stage.wait_empty()
    result.facts.append(f"all up after {min(took):.2f} .. {max(took):.2f} s, everything on one core")
    return result


def reconnect(scenario, stage, rounds):
    """The first gateway is killed with all its workers; its clients come back elsewhere."""
    result = _result(scenario, _facts(scenario, f"jittered over {scenario.reconnect:g} s"))
    for i in range(rounds):
        with Load(stage.gateways(), scenario.connections, *_arguments(scenario, stage, f"k{i}-")) as load:
            seen = {}
            killer = threading.Timer(scenario.kill_at, _kill_gateway, (stage, seen))
            killer.start()
            before = stage.cpu()
            report = load.run()
            spent = _spent(before, stage.cpu())
            killer.join()
        if wrong_with(report):
            result.void.append(wrong_with(report))
        _take_report(result, report, spent)
        if report.get("back_ms"):
            result.add(back=(report["back_ms"] - report["gone_ms"]) / 1e3)
        if "unused" in seen:
            result.add(unused=seen["unused"])
        result.notes.append(f"{report['opened'] - scenario.connections:,} connections were made again; "
                            f"{report['redelivered']} messages came again on a later connection (at-least-once)")
        stage.cluster.of("gateway")[0].start_ready()
        stage.wait_empty()
    return result


def _kill_gateway(stage, seen):
    """Notes the seconds until no router counts an instance of it among the living."""
    gateway, router = stage.cluster.of("gateway")[0], stage.cluster.of("router")[0]
    left = stage.metric(router, "herald_router_lanes") - stage.cluster.workers
    victims = tree([gateway.process.pid])
    begun = time.monotonic()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    gateway.process.kill()
    while time.monotonic() < begun + 30:
        if stage.metric(router, "herald_router_lanes") <= left:
            seen["unused"] = time.monotonic() - begun
            return
        time.sleep(0.02)


def router(scenario, stage, rounds):
    """A backlog that appears in Kafka at once (a transaction), with a sink in place of the gateways."""
    stream = scenario.streams[0]
    result = _result(scenario, [f"{scenario.messages:,} {stream.delivery} messages of {stream.size} B to {scenario.connections:,} users"])
    for i in range(rounds):
        prefix, users = f"s{i}-", scenario.connections
        warm, tenth = users * ROUTER_WARM, scenario.messages // 10
        with Sink(stage.cluster.redis.address, users, [warm, tenth, scenario.messages - tenth], prefix) as sink:
            producer = Backlog(stage.cluster.broker.address, prefix, users, stream)
            producer.write(warm)
            sink.report()
            producer.write(scenario.messages)
            first, begun = sink.report(), stage.cpu()["router"]
            last = sink.report()
            spent = stage.cpu()["router"] - begun
            time.sleep(SINK_REST_S)
        if wrong_with(last):
            result.void.append(wrong_with(last))
            continue
        us = spent / (last["received"] - first["received"])
        result.add(router=us, router_rate=1e6 / us)
        result.notes.append(f"{(last['received'] - first['received']) / (last['seconds'] - first['seconds']):,.0f} messages/s went "
                            f"through, {(last['received'] - first['received']) / (last['envelopes'] - first['envelopes']):.0f} an envelope")
    return result


class Backlog:
    """Writes messages that become visible all at once."""

    def __init__(self, brokers, prefix, users, stream):
        from confluent_kafka import Producer
        self.producer = Producer({"bootstrap.servers": brokers, "transactional.id": f"bench-{prefix}", "linger.ms": 20,
                                  "queue.buffering.max.messages": 1000000, "batch.num.messages": 10000})
        self.producer.init_transactions(30)
        self.names = [f"{prefix}{i}" for i in range(users)]
        more = f",{stream.fields}" if stream.fields else ""
        self.heads = [f'{{"to":{json.dumps({"user": name})},"class":"{stream.delivery}"{more},"content":{{"s":0,"n":'
                      for name in self.names]
        self.tail = f',"t":0,"p":"{"x" * max(stream.size - 30, 0)}"}}}}'
        self.sent = 0

    def write(self, count):
        self.producer.begin_transaction()
        for i in range(self.sent, self.sent + count):
            number, user = divmod(i, len(self.names))
            while True:
                try:
                    self.producer.produce("herald.push", key=self.names[user],
                                          value=f"{self.heads[user]}{number}{self.tail}")
                    break
                except BufferError:
                    self.producer.poll(0.05)
        self.sent += count
        self.producer.commit_transaction(60)


KINDS = {"delivery": delivery, "memory": memory, "idle": idle, "connect": connect, "reconnect": reconnect, "router": router}
