"""The verdict at quiescence: every message has its fate, told once for each reading, and Herald's own books balance."""

import collections

from message import BAD, CLOCK_SLACK_MS, VOLATILE

KEPT = ("acked", "stored")
ALLOWED = {  # kind of message: what the first outcome of its first record may be
    "durable": KEPT + ("duplicate",), "once": KEPT + ("duplicate",), "device": KEPT, "list": KEPT, "each": KEPT,
    "ttl": KEPT + ("expired",), "collapse": KEPT + ("dropped",), "volatile": ("written", "dropped"), "bad": ("dead",)}
BY_MAILBOX = {("acked", "mailbox"), ("expired", "mailbox"), ("expired", "mailbox_ttl"), ("dropped", "mailbox_full"),
              ("dropped", "collapsed")}  # the later fate of what was stored, not an end of a further reading
SOURCE = "herald.push/"
ANSWER_S = 15.0  # so long after a fault routers may still be on their way back


def judge_message(ledger, m):
    """Notes what is wrong with a message that had all the time it needs."""
    if m.is_durable() and not m.has_fate():
        judge_superseded(ledger, m) if ledger.is_superseded(m) else ledger.violate("lost", str(m), m.user)
    if m.overtaken:
        judge_overtaken(ledger, m)
    if m.kind == BAD and m.id not in ledger.letters:
        ledger.violate("lost", f"not in the dead-letter topic: {m}", m.user)
    if not m.has_outcomes():
        ledger.violate("outcome missing", str(m), m.user)
        return
    judge_outcomes(ledger, m)


def possible_readings(ledger, record, outcomes):
    partition, offset = record.partition_and_offset()
    if offset is None:
        offset = int(outcomes[0]["offset"].rpartition("/")[2])
    return ledger.commits.readings(partition, offset, record.produced_at)


def judge_overtaken(ledger, m):
    """It gave way to a newer one, and was read again: then it may come late (docs/delivery.md). Whoever read it first may have
    been killed before it could say so: then only the newer one is the witness."""
    if ledger.is_superseded(m) and possible_readings(ledger, m.records[0], m.outcomes) > 1:
        ledger.counts["collapsed, read again and seen late"] += 1
    else:
        ledger.violate("order", f"{m.overtaken}: {m}", m.user)


def judge_superseded(ledger, m):
    """Nobody has acknowledged it; a newer one with its collapse key is in Kafka."""
    if any((o["outcome"], o.get("reason")) == ("dropped", "collapsed") for o in m.outcomes):
        ledger.counts["collapsed"] += 1
    elif any(o["outcome"] == "stored" for o in m.outcomes):
        ledger.counts["collapsed, told as stored only"] += 1  # best effort, docs/delivery.md
    else:
        ledger.violate("lost", f"a newer one has its collapse key, but it was not said to be collapsed: {m}", m.user)


def judge_outcomes(ledger, m):
    for outcome in m.outcomes:
        kind = outcome["outcome"]
        if kind == "acked" and not m.acked:
            ledger.violate("outcome wrong", f"acked, and no client did: {m}", m.user)
        if kind == "expired" and outcome["_at"] * 1000 < m.expires_ms - CLOCK_SLACK_MS - ledger.skew_ms:
            ledger.violate("outcome wrong", f"expired too early: {m}", m.user)
        if (kind, outcome.get("reason")) == ("dropped", "collapsed") and not ledger.is_superseded(m):
            ledger.violate("outcome wrong", f"collapsed, and nothing newer has its key: {m}", m.user)
    told = collections.defaultdict(list)
    for outcome in m.outcomes:
        told[outcome.get("offset")].append(outcome)
    for i, record in enumerate(m.records):
        if record.position and not record.position.endswith("/None"):
            judge_record(ledger, m, record, i == 0, told.pop(SOURCE + record.position, []))
        elif record.position:
            judge_record(ledger, m, record, i == 0, told.pop(next(iter(told), None), []))
    if told:
        ledger.violate("outcome wrong", f"outcomes of records that nobody produced, {list(told)}: {m}", m.user)


def judge_record(ledger, m, record, is_first, outcomes):
    """All that was told about one record and one target."""
    if not outcomes:
        if not (m.copies and m.copies.is_loose):
            ledger.violate("outcome missing", f"of {record.position}: {m}", m.user)
        return
    readings, later = [], []
    # in whichever order: a client may acknowledge what Redis has before the answer to the append is there
    is_stored = any(o["outcome"] == "stored" for o in outcomes)
    for outcome in outcomes:
        is_later = is_stored and (outcome["outcome"], outcome.get("reason")) in BY_MAILBOX
        (later if is_later else readings).append(outcome)
    ledger.counts["outcomes later"] += len(later)
    judge_later(ledger, m, later, sum(o["outcome"] == "stored" for o in readings))
    for outcome in readings:
        if is_first and (outcome["outcome"] not in ALLOWED[m.kind] or (outcome["outcome"] == "duplicate" and len(m.records) == 1)):
            ledger.violate("outcome wrong", str(m), m.user)
        judge_claim(ledger, m, record, is_first, outcome)
    judge_readings(ledger, m, record, readings)


def happened(times, begin, end):
    return any(a <= end and begin <= b for a, b, _ in times)


def judge_later(ledger, m, later, stored):
    """The later fate of what was stored: once for each time, more often only if the answer may not have reached the gateway."""
    if len(later) <= stored:
        return
    if happened(ledger.silence, later[0]["_read_at"] - ANSWER_S, later[-1]["_read_at"]):
        ledger.counts["outcomes later, repeated"] += len(later) - stored
    else:
        ledger.violate("outcome repeated", f"{len(later)} later ones, and every router could answer: {m}", m.user)


def judge_readings(ledger, m, record, readings):
    """One outcome for each time that Kafka gave the record to a router."""
    if len(readings) < 2:
        return
    possible = possible_readings(ledger, record, readings)
    if len(readings) <= possible:
        ledger.counts["outcomes repeated"] += len(readings) - 1
    else:
        ledger.violate("outcome repeated", f"{len(readings)} for {record.position}, which Kafka gave to routers at most "
                                           f"{possible} times: {m}", m.user)


def judge_claim(ledger, m, record, is_first, outcome):
    """A record with an id that another record has: a duplicate, unless ids could not be claimed, or were forgotten."""
    if is_first != (outcome["outcome"] == "duplicate"):
        if not is_first:
            others = {SOURCE + str(r.position) for r in m.records if r is not record}
            if outcome.get("reason") not in others and not any(o.endswith("/None") for o in others):
                ledger.violate("outcome wrong", f"duplicate of what? {outcome}: {m}", m.user)
            ledger.counts["ids recognised"] += 1
        return
    begin, end = m.records[0].produced_at - 1, outcome["_read_at"] + 1
    if happened(ledger.trouble, begin, end):
        ledger.counts["ids not recognised"] += 1
    else:
        ledger.violate("not recognised", f"{outcome['outcome']} for {record.position} though the id was claimed and Redis "
                                         f"was well: {m}", m.user)


def judge_all(ledger):
    """All that was accepted; afterwards the ledger is empty and only counts remain."""
    with ledger.lock:
        for m in ledger.open.values():
            judge_message(ledger, m)
            ledger.counts["judged"] += 1
            ledger.counts[f"judged {m.kind}"] += 1
        ledger.open.clear()
        ledger.copies.clear()
        ledger.letters.clear()
        ledger.skew_ms = 0
        ledger.trouble[:] = ledger.trouble[-50:]
        ledger.silence[:] = ledger.silence[-50:]


def judge_books(ledger, router, metrics):
    """The conservation identity of one router: what came in has ended or is under way; at rest nothing is."""
    def total(name):
        return sum(value for key, value in metrics.items() if key.split("{")[0] == "herald_router_" + name)

    came = total("targets_total") + total("records_bad_total")
    in_flight = total("targets_in_flight")
    went = total("outcomes_total") + total("targets_abandoned_total") + in_flight
    if came != went or in_flight != 0:
        ledger.violate("books", f"{router}: {came:g} came, {went:g} went, {in_flight:g} in flight")
    if total("outcomes_unpublished_total"):
        ledger.counts["outcomes unpublished"] += int(total("outcomes_unpublished_total"))


def judge_boxes(ledger, absent, boxes):
    """A user who is away has exactly what nobody acknowledged waiting in the mailbox, in order."""
    with ledger.lock:
        for user in absent:
            waiting = [m for m in ledger.open.values() if m.user == user and m.position and m.is_durable() and
                       not (m.has_fate() or m.is_expired(CLOCK_SLACK_MS + ledger.skew_ms) or ledger.is_superseded(m))]
            held = {flow: ids for (owner, flow), ids in boxes.items() if owner == user}
            for m in waiting:
                is_held = any(m.id in ids for flow, ids in held.items() if flow == m.flow or (m.copies and m.copies.is_loose))
                if not is_held:
                    ledger.violate("lost", f"user is away, and it is not in the mailbox: {m}", user)
            for flow, ids in held.items():
                _judge_box_order(ledger, user, flow, ids)


def _judge_box_order(ledger, user, flow, ids):
    numbers, known = collections.defaultdict(list), set()
    for message_id in ids:
        m = ledger.find(message_id, user, flow)
        if message_id in known:
            ledger.counts["twice in a box"] += 1
        elif m and m.is_ordered() and len(m.records) == 1:
            numbers[m.priority].append(m.n)
        known.add(message_id)
    if any(n != sorted(n) for n in numbers.values()):
        ledger.violate("order", f"in the mailbox of {user}/{flow}: {ids}", user)
