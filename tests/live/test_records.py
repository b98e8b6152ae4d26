"""Records that cannot be delivered go to the dead-letter topic with the reason, and the flow goes on."""

import json

import pytest

pytestmark = pytest.mark.core

BAD = {
    "not json": "hello",
    "cut off": '{"to":{"user":"x"},"content":"a',
    "no target": '{"content":1}',
    "no content": '{"to":{"user":"x"}}',
    "empty target": '{"to":{},"content":1}',
    "two targets": '{"to":{"user":"x","all":true},"content":1}',
    "empty user": '{"to":{"user":""},"content":1}',
    "long user": json.dumps({"to": {"user": "u" * 300}, "content": 1}),
    "unknown class": '{"to":{"user":"x"},"content":1,"class":"eternal"}',
    "negative ttl": '{"to":{"user":"x"},"content":1,"ttlMs":-5}',
    "durable for all": '{"to":{"all":true},"content":1,"class":"durable"}',
    "empty": "",
}


@pytest.mark.parametrize("which", BAD)
def test_bad_record(world, user, which):
    dead, name = world.tail("herald.dlq"), user()
    world.pusher.raw(BAD[which], name, headers=[("trace", b"t1")])
    good = world.push({"user": name}, "the flow goes on")
    record = dead.records.wait(lambda r: (r.key() or b"").decode() == name, what="dead letter")[0]
    headers = dict(record.headers())
    assert (record.value() or b"").decode() == BAD[which]
    assert headers["herald-error"] and headers["herald-source"].decode().startswith("herald.push/")
    assert headers["trace"] == b"t1"
    assert world.connect(name).push(good)["content"] == "the flow goes on"


def test_protobuf_record(world, user, tmp_path):
    push_pb2 = compiled("push", tmp_path)
    name = user()
    client = world.connect(name)
    record = push_pb2.Push(id=f"pb-{name}", to=push_pb2.Push.To(user=name), content=b'{"from":"protobuf"}')
    world.pusher.raw(record.SerializeToString(), name, headers=[("content-type", b"application/x-protobuf")])
    assert client.push(f"pb-{name}")["content"] == {"from": "protobuf"}


def compiled(name, folder):
    import importlib.util
    import os
    from grpc_tools import protoc
    proto = os.path.join(os.path.dirname(__file__), "..", "..", "proto")
    assert protoc.main(["protoc", f"--proto_path={proto}", f"--python_out={folder}", f"{name}.proto"]) == 0
    spec = importlib.util.spec_from_file_location(f"{name}_pb2", folder / f"{name}_pb2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_expired_before_delivery(world, user):
    outcomes, name = world.tail("herald.outcome"), user()
    world.connect(name)
    sent = world.push({"user": name}, ttlMs=1, outcome=True, id=f"old-{name}")
    got = outcomes.wait_json(lambda o: o["id"] == sent)[0]
    assert got["outcome"] in ("expired", "acked")  # one millisecond may or may not be enough


def test_message_without_an_id_is_its_position(world, user):
    name = user()
    client = world.connect(name)
    world.pusher.raw(json.dumps({"to": {"user": name}, "content": 1}), name)
    got = client.of_type("push")[0]
    topic, partition, offset = got["id"].rsplit("-", 2)
    assert topic == "herald.push" and int(partition) >= 0 and int(offset) >= 0
