"""permessage-deflate (RFC 7692): agreed on, on the wire, and what a hostile client would try with it."""

import json
import zlib

import pytest

from test_protocol import Raw

pytestmark = pytest.mark.core

OFFER = "permessage-deflate; client_max_window_bits"
LONG = {"rows": [{"name": "row", "price": 12.5}] * 100}


def deflated(payload):
    z = zlib.compressobj(wbits=-15)
    return (z.compress(payload) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(payload):
    return zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")


@pytest.fixture
def opened(world, user):
    """Opens a raw connection of a new user with these extensions offered; (raw, user, headers of the answer)."""
    made = []

    def open_with(offer):
        raw, name = Raw(world), user()
        made.append(raw)
        raw.sock.sendall(raw.request(path=f"/ws?device=d1&token={world.token(name)}", Sec_WebSocket_Extensions=offer))
        status, headers = raw.head()
        assert status == 101
        assert json.loads(raw.frame()[1])["code"] == 200
        return raw, name, headers

    yield open_with
    for raw in made:
        raw.sock.close()


def next_push(raw):
    """(rsv, payload) of the next push, which is acknowledged."""
    opcode, payload = raw.frame()
    assert opcode == 1
    message = json.loads(inflated(payload) if raw.rsv else payload)
    raw.send_frame(1, json.dumps({"type": "ack", "seq": message["seq"]}).encode())
    return raw.rsv, message


@pytest.mark.parametrize("offer, answer", [
    (OFFER, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
    ("x-other, permessage-deflate; server_max_window_bits=9, permessage-deflate; server_max_window_bits=14",
     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=13"),
    ("permessage-deflate; server_max_window_bits=9", None),
    ("permessage-deflate; what=ever", None),
    (None, None)])
def test_what_is_agreed_on(opened, offer, answer):
    assert opened(offer)[2].get("sec-websocket-extensions") == answer


def test_long_pushes_are_deflated(world, opened):
    raw, name, _ = opened(OFFER)
    world.push({"user": name}, LONG)
    rsv, message = next_push(raw)
    assert rsv == 4 and message["content"] == LONG
    world.push({"user": name}, "short")
    rsv, message = next_push(raw)
    assert rsv == 0 and message["content"] == "short"


def test_only_for_those_who_agreed(world, opened):
    raw, name, _ = opened(None)
    world.push({"user": name}, LONG)
    rsv, message = next_push(raw)
    assert rsv == 0 and message["content"] == LONG


def test_a_broadcast_is_right_for_both_kinds(world, user):
    plain, packed = (world.connect(user(), compression=c) for c in (None, "deflate"))
    sent = world.push({"all": True}, LONG)
    assert plain.push(sent)["content"] == packed.push(sent)["content"] == LONG
    again = world.push({"all": True}, LONG)
    assert packed.push(again)["content"] == plain.push(again)["content"] == LONG


def test_deflated_messages_are_taken(world, opened):
    world.tail("herald.upstream")
    raw, name, _ = opened(OFFER)
    text = deflated(json.dumps({"type": "message", "id": "c1", "content": LONG}).encode())
    raw.send_frame(1, text[:9], fin=False, rsv=4)
    raw.send_frame(9, b"between")
    raw.send_frame(0, text[9:])
    assert raw.frame() == (10, b"between")
    assert world.tail("herald.upstream").wait_json(lambda m: m["user"] == name, 1)[0]["content"] == LONG
    assert json.loads(raw.frame()[1])["code"] == 200


@pytest.mark.parametrize("first, payload, code", [
    ((1, 4), b"\xff\xff\xff\xff", 1007),
    ((1, 4), deflated(b"\xff\xfe"), 1007),
    ((1, 4), deflated(bytes(1 << 20)), 1009),
    ((1, 2), b"{}", 1002),
    ((9, 4), b"{}", 1002)])
def test_what_breaks_it(opened, first, payload, code):
    opcode, rsv = first
    raw, _, _ = opened(OFFER)
    raw.send_frame(opcode, payload, rsv=rsv)
    assert raw.close_code() == code


def test_not_without_agreement(opened):
    raw, _, _ = opened(None)
    raw.send_frame(1, deflated(b"{}"), rsv=4)
    assert raw.close_code() == 1002
