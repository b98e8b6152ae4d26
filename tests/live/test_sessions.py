"""Authentication, devices, client messages."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from websockets.exceptions import ConnectionClosed

from client import Client

pytestmark = pytest.mark.core


def token_of(secret, claims, header=None):
    def part(thing):
        return base64.urlsafe_b64encode(json.dumps(thing).encode()).rstrip(b"=")
    signed = part(header or {"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    mac = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


@pytest.mark.parametrize("where", ["query", "header", "subprotocol"])
def test_token_in_the_handshake(world, user, where):
    name = user()
    client = Client(world.url(), world.token(name), "d1", where=where).authenticated()
    got = client.of_type("auth_response")[0]
    assert got["userId"] == name and got["deviceId"] == "d1" and got["session"].startswith("gw1-")
    client.push(world.push({"user": name}))
    client.close()


def test_token_in_the_first_message(world, user):
    name = user()
    client = Client(world.url())
    client.send(type="auth", userId=name, token=world.token(name), deviceId="web-1")
    got = client.authenticated().of_type("auth_response")[0]
    assert (got["userId"], got["deviceId"]) == (name, "web-1")
    client.close()


def bad_tokens(secret):
    now = int(time.time())
    return {
        "missing": None,
        "garbage": "not.a.token",
        "wrong secret": token_of(secret + "x", {"sub": "42", "exp": now + 600}),
        "expired": token_of(secret, {"sub": "42", "exp": now - 3600}),
        "alg none": token_of(secret, {"sub": "42", "exp": now + 600}, {"alg": "none"}).rsplit(".", 1)[0] + ".",
        "alg of the token's choice": token_of(secret, {"sub": "42", "exp": now + 600}, {"alg": "HS512"}),
        "no subject": token_of(secret, {"exp": now + 600}),
        "another user": token_of(secret, {"sub": "43", "exp": now + 600}),
    }


@pytest.mark.parametrize("which", ["missing", "garbage", "wrong secret", "expired", "alg none",
                                   "alg of the token's choice", "no subject", "another user"])
def test_refused(world, which):
    client = Client(world.url())
    token = bad_tokens(world.cluster.secret)[which]
    client.send(**{k: v for k, v in dict(type="auth", userId="42", deviceId="d", token=token).items() if v is not None})
    assert client.of_type("auth_response")[0]["code"] == 401
    assert client.wait_closed() == 4401


def test_newer_connection_of_the_same_device_replaces_on_the_same_gateway(world, user):
    name = user()
    old = world.connect(name, "phone")
    new = world.connect(name, "phone")
    assert old.wait_closed() == 4409
    new.push(world.push({"user": name}))


def test_newer_connection_of_the_same_device_replaces_across_gateways(world, user):
    name = user()
    old = world.connect(name, "phone", gateway=0)
    new = world.connect(name, "phone", gateway=1)
    assert old.wait_closed() == 4409
    new.push(world.push({"user": name}))


def test_late_disconnect_does_not_remove_the_newer_route(world, user):
    name = user()
    old = world.connect(name, "phone", gateway=0)
    new = world.connect(name, "phone", gateway=1)
    old.wait_closed()
    new.push(world.push({"user": name}))
    route = world.redis_cli("HGET", f"herald:route:{{{name}}}", "phone")
    assert route.startswith("gw2-")


def test_route_is_removed_on_disconnect(world, user):
    name = user()
    world.connect(name, "phone").close()
    deadline = time.monotonic() + 10
    while world.redis_cli("HEXISTS", f"herald:route:{{{name}}}", "phone") != "0":
        assert time.monotonic() < deadline


def test_heartbeat(world, user):
    client = world.connect(user())
    client.send(type="heartbeat", timestamp=1)
    got = client.of_type("heartbeat_response")[0]
    assert got["content"] == "pong" and abs(got["timestamp"] - time.time() * 1000) < 60000


@pytest.mark.parametrize("text", ["not json", "{}", '{"type":"nonsense"}', '{"type":7}', "[]", '{"type":"ack"}',
                                  '{"type":"ack","seq":-1}', '{"type":"ack","seq":"x"}'])
def test_bad_message_is_answered_and_survived(world, user, text):
    name = user()
    client = world.connect(name)
    client.ws.send(text)
    assert client.of_type("error")[0]["code"] == 400
    client.push(world.push({"user": name}))


def test_too_many_bad_messages_close(world, user):
    client = world.connect(user())
    with pytest.raises(ConnectionClosed):
        for _ in range(10000):
            client.ws.send("bad")
    assert client.wait_closed() == 1008


def test_message_to_the_business(world, user):
    upstream, name = world.tail("herald.upstream"), user()
    client = world.connect(name, "phone")
    client.send(type="message", id="c2", content={"buy": 3})
    assert client.of_type("message_response")[0]["code"] == 200
    got = upstream.wait_json(lambda r: r["user"] == name)[0]
    assert got["device"] == "phone" and got["id"] == "c2" and got["content"] == {"buy": 3}
    assert got["instance"].startswith("gw1-")


def test_messages_before_authentication_are_refused(world):
    client = Client(world.url())
    client.send(type="message", id="c1", content="x")
    assert client.of_type("error")[0]["code"] == 401
    client.close()


def test_session_ends_with_its_token(world, user):
    """The leeway is 30 s: a token that expired 26 s ago is good for 4 s more."""
    name, now = user(), int(time.time())
    token = token_of(world.cluster.secret, {"sub": name, "exp": now - 26})
    ended = Client(world.url(), token, "d1").authenticated()
    renewed = Client(world.url(), token, "d2").authenticated()
    renewed.send(type="auth", token=token_of(world.cluster.secret, {"sub": name, "exp": now + 600}))
    assert renewed.of_type("auth_response", 2)[1]["code"] == 200
    assert ended.wait_closed(10) == 4401 and "expired" in ended.close_reason
    assert time.time() >= now + 4
    renewed.push(world.push({"user": name}))
    renewed.close()


def test_further_token_has_to_be_good(world, user):
    name = user()
    client = world.connect(name, "d1")
    for token in ("nonsense", token_of(world.cluster.secret, {"sub": name + "x", "exp": int(time.time()) + 600})):
        client.send(type="auth", token=token)
    assert [e["code"] for e in client.of_type("error", 2)] == [401, 401]
    client.push(world.push({"user": name}))
