"""The verdict at quiescence: every message has its fate, told once, and Herald's own books balance."""

from ledger import BAD, CLOCK_SLACK_MS, VOLATILE

ALLOWED = {  # kind of message: what its first outcome may be
    "durable": ("acked", "stored"), "device": ("acked", "stored"), "list": ("acked", "stored"),
    "ttl": ("acked", "stored", "expired"), "volatile": ("written", "dropped"), "bad": ("dead",)}
LATER = {("stored", "acked"), ("stored", "expired"), ("stored", "dropped")}  # not a repetition: the later fate of a stored one
COMMIT_LAG = 8.0      # seconds before a fault in which an outcome may be known and its offset not yet committed
REDELIVERY = 60.0     # seconds after a fault in which the record may come again


def is_explained(ledger, first, again):
    """A repeated outcome needs a fault that can make Kafka deliver the record again."""
    return any(begin - COMMIT_LAG <= again["_at"] and first["_at"] <= end + REDELIVERY
               for begin, end, _ in ledger.trouble)


def judge_message(ledger, m):
    """Notes what is wrong with a message that had all the time it needs."""
    if m.is_durable() and not (m.acked or m.wiped or m.is_expired()):
        ledger.violate("lost", str(m), m.user)
    if m.kind == BAD and m.id not in ledger.letters:
        ledger.violate("lost", f"not in the dead-letter topic: {m}", m.user)
    if not m.outcomes:
        ledger.violate("outcome missing", str(m), m.user)
        return
    judge_outcomes(ledger, m)


def judge_outcomes(ledger, m):
    first, last = m.outcomes[0], m.outcomes[0]
    if first["outcome"] not in ALLOWED[m.kind]:
        ledger.violate("outcome wrong", str(m), m.user)
    for outcome in m.outcomes:
        kind = outcome["outcome"]
        if kind == "acked" and not m.acked:
            ledger.violate("outcome wrong", f"acked, and no client did: {m}", m.user)
        if kind == "expired" and outcome["_at"] * 1000 < m.expires_ms - CLOCK_SLACK_MS - ledger.skew_ms:
            ledger.violate("outcome wrong", f"expired too early: {m}", m.user)
        if not m.position.endswith("/None") and outcome.get("offset") != "herald.push/" + m.position:
            ledger.violate("outcome wrong", f"source {outcome.get('offset')} of {m}", m.user)
    for again in m.outcomes[1:]:
        if (last["outcome"], again["outcome"]) in LATER and last["offset"] == again["offset"]:
            ledger.counts["outcomes later"] += 1
        elif is_explained(ledger, first, again):
            ledger.counts["outcomes repeated"] += 1
        else:
            ledger.violate("outcome repeated", f"with no fault to explain it: {m}", m.user)
        last = again


def judge_all(ledger):
    """All that was accepted; afterwards the ledger is empty and only counts remain."""
    with ledger.lock:
        for m in ledger.open.values():
            judge_message(ledger, m)
            ledger.counts["judged"] += 1
            ledger.counts["volatile"] += m.kind == VOLATILE
        ledger.open.clear()
        ledger.letters.clear()
        ledger.skew_ms = 0
        ledger.trouble[:] = ledger.trouble[-50:]


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
                       not (m.acked or m.wiped or m.is_expired(CLOCK_SLACK_MS + ledger.skew_ms))]
            held = {flow: ids for (owner, flow), ids in boxes.items() if owner == user}
            for m in waiting:
                if m.id not in held.get(m.flow, ()):
                    ledger.violate("lost", f"user is away, and it is not in the mailbox: {m}", user)
            for flow, ids in held.items():
                _judge_box_order(ledger, user, flow, ids)


def _judge_box_order(ledger, user, flow, ids):
    numbers, known = [], set()
    for message_id in ids:
        m = ledger.open.get((message_id, user))
        if message_id in known:
            ledger.counts["twice in a box"] += 1
        elif m and m.kind not in ("list", "bad"):
            numbers.append(m.n)
        known.add(message_id)
    if numbers != sorted(numbers):
        ledger.violate("order", f"in the mailbox of {user}/{flow}: {ids}", user)
