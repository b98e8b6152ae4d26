"""What a hostile or broken client does at the socket: RFC 6455 and HTTP, by raw bytes."""

import os
import socket
import struct
import time
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.core

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13"}


class Raw:
    def __init__(self, world):
        url = urlsplit(world.url())
        self.sock = socket.create_connection((url.hostname, url.port), timeout=15)
        self.rest, self.rsv = b"", 0  # rsv: of the last frame

    def request(self, method="GET", path="/ws", version="HTTP/1.1", **changes):
        headers = {k: v for k, v in dict(GOOD, **{k.replace("_", "-"): v for k, v in changes.items()}).items() if v is not None}
        return (f"{method} {path} {version}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()

    def head(self):
        """The status and the headers of the answer."""
        while b"\r\n\r\n" not in self.rest:
            more = self.sock.recv(4096)
            assert more, f"closed after {self.rest!r}"
            self.rest += more
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        return int(lines[0].split()[1]), {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}

    def upgraded(self, **changes):
        self.sock.sendall(self.request(**changes))
        assert self.head()[0] == 101
        return self

    def send_frame(self, opcode, payload=b"", fin=True, mask=True, rsv=0):
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if mask else 0
        if len(payload) < 126:
            head += bytes([bit | len(payload)])
        elif len(payload) < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
        key = os.urandom(4) if mask else b""
        body = bytes(b ^ key[i % 4] for i, b in enumerate(payload)) if mask else payload
        try:
            self.sock.sendall(head + key + body)
        except OSError:
            pass  # refused while we were still sending: the close frame says why

    def read(self, n):
        while len(self.rest) < n:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.rest += more
        got, self.rest = self.rest[:n], self.rest[n:]
        return got

    def frame(self):
        first, second = self.read(2)
        self.rsv = first >> 4 & 7
        assert not second & 0x80, "a server must not mask"
        length = second & 0x7F
        if length == 126:
            length = struct.unpack(">H", self.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.read(8))[0]
        return first & 0x0F, self.read(length)

    def close_code(self):
        while True:
            opcode, payload = self.frame()
            if opcode == 8:
                return struct.unpack(">H", payload[:2])[0]


@pytest.fixture
def raw(world):
    made = Raw(world)
    yield made
    made.sock.close()


@pytest.mark.parametrize("changes, status", [
    (dict(method="POST"), 405), (dict(path="/nowhere"), 404), (dict(Upgrade=None), 426),
    (dict(Sec_WebSocket_Version="12"), 426), (dict(Sec_WebSocket_Key="short"), 400), (dict(Sec_WebSocket_Key=None), 400),
    (dict(Host=None), 400), (dict(X="a" * 9000), 431)])
def test_error_answers(raw, changes, status):
    raw.sock.sendall(raw.request(**changes))
    code, headers = raw.head()
    assert code == status or (status == 431 and code in (413, 431)) or (status == 426 and code in (400, 426)), code
    if code == 426:
        assert headers["sec-websocket-version"] == "13"
    while raw.sock.recv(4096):
        pass  # and it closes


def test_garbage_instead_of_http(raw):
    raw.sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n")
    assert raw.head()[0] == 400


def test_request_one_byte_at_a_time(raw):
    raw.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in raw.request():
        raw.sock.sendall(bytes([byte]))
    code, headers = raw.head()
    assert code == 101 and headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_first_frame_in_the_same_packet_as_the_request(raw):
    key = b"\0\0\0\0"
    text = b'{"type":"heartbeat"}'
    raw.sock.sendall(raw.request() + bytes([0x81, 0x80 | len(text)]) + key + text)
    assert raw.head()[0] == 101
    assert raw.frame()[0] == 1


def test_unmasked_frame(raw):
    raw.upgraded().send_frame(1, b"{}", mask=False)
    assert raw.close_code() == 1002


def test_reserved_bits(raw):
    raw.upgraded().send_frame(1, b"{}", rsv=4)
    assert raw.close_code() == 1002


def test_reserved_opcode(raw):
    raw.upgraded().send_frame(3, b"")
    assert raw.close_code() == 1002


def test_too_long_control_frame(raw):
    raw.upgraded().send_frame(9, b"x" * 126)
    assert raw.close_code() == 1002


def test_invalid_utf8(raw):
    raw.upgraded().send_frame(1, b'{"type":"\xff"}')
    assert raw.close_code() == 1007


def test_message_too_big(raw):
    raw.upgraded().send_frame(1, b"x" * (64 * 1024 + 1))
    assert raw.close_code() == 1009


def test_message_too_big_in_fragments(raw):
    raw.upgraded().send_frame(1, b"x" * 40000, fin=False)
    raw.send_frame(0, b"x" * 40000)
    assert raw.close_code() == 1009


def test_ping_between_fragments(raw):
    raw.upgraded().send_frame(1, b'{"type":"heart', fin=False)
    raw.send_frame(9, b"are you there")
    raw.send_frame(0, b'beat"}')
    assert raw.frame() == (10, b"are you there")
    assert raw.frame()[0] == 1


def test_close_is_answered_with_its_code(raw):
    raw.upgraded().send_frame(8, struct.pack(">H", 1000) + b"bye")
    assert raw.close_code() == 1000


def test_bad_close_code(raw):
    raw.upgraded().send_frame(8, struct.pack(">H", 1005))
    assert raw.close_code() == 1002


def test_silence_before_authentication_ends(raw):
    started = time.monotonic()
    raw.upgraded()
    assert raw.close_code() in (4401, 4408)
    assert 5 < time.monotonic() - started < 12
