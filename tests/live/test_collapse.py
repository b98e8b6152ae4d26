"""Collapse keys: a newer message replaces an older one that was not delivered yet."""

import pytest

pytestmark = pytest.mark.core


def fates(world, sent, count):
    found = world.tail("herald.outcome").wait_json(lambda o: o["id"] == sent, count)
    return sorted((o["outcome"], o.get("reason")) for o in found)


def test_offline_user_gets_only_the_last_in_its_place(world, user):
    world.tail("herald.outcome")
    name = user()
    keyed = [{"collapse": "score"}, {}, {"collapse": "score"}, {"collapse": "other"}, {}, {"collapse": "score"}]
    sent = [world.push({"user": name}, i, outcome=True, **more) for i, more in enumerate(keyed)]
    for i in (0, 2):  # stored when it came, dropped when a newer one did; or dropped before it was stored
        if ("dropped", "collapsed") not in fates(world, sent[i], 1):
            assert [f[0] for f in fates(world, sent[i], 2)] == ["dropped", "stored"]
    for i in (1, 3, 4, 5):
        assert [f[0] for f in fates(world, sent[i], 1)] == ["stored"]
    assert world.redis_cli("XLEN", f"herald:box:{{{name}}}") == "4"
    client = world.connect(name)
    client.push(sent[5])
    assert [m["id"] for m in client.pushes()] == [sent[1], sent[3], sent[4], sent[5]]
    later = world.push({"user": name}, "later", collapse="score")
    client.push(later)


def test_one_by_one(world, user):
    """Each is in the mailbox before the next comes: so the script does it."""
    world.tail("herald.outcome")
    name, sent = user(), []
    for i in range(3):
        sent.append(world.push({"user": name, "device": "tv"}, i, outcome=True, collapse="k"))
        fates(world, sent[-1], 1)
    for one in sent[:2]:
        found = fates(world, one, 2)
        assert found[0] == ("dropped", "collapsed") and found[1][0] == "stored"
    tv = world.connect(name, "tv")
    tv.push(sent[2])
    last = world.push({"user": name}, "last")
    tv.push(last)
    assert [m["id"] for m in tv.pushes()] == [sent[2], last]


def test_keys_of_others_do_not_count(world, user):
    world.tail("herald.outcome")
    a, b = user(), user()
    sent = [world.push(to, "x", outcome=True, collapse="k") for to in
            ({"user": a}, {"user": b}, {"user": a, "device": "tv"})]
    for one in sent:
        assert [f[0] for f in fates(world, one, 1)] == ["stored"]
    tv = world.connect(a, "tv")
    tv.push(sent[0]), tv.push(sent[2])
    world.connect(b).push(sent[1])


def test_what_is_out_is_not_recalled(world, user):
    name = user()
    client = world.connect(name, ack=False)
    sent = []
    for i in range(3):
        sent.append(world.push({"user": name}, i, collapse="k"))
        client.push(sent[i])
    assert [m["id"] for m in client.pushes()] == sent
