"""A client that does not read until the test does: its connection fills up, first in the kernel, then at the gateway."""

import json
import socket
import time
from urllib.parse import urlsplit

from websockets.sync.client import connect


def connect_small(world, name, device="d", gateway=0):
    """A connection with little room on the client's side."""
    address = urlsplit(world.url(gateway))
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.connect((address.hostname, address.port))
    ws = connect(f"{world.url(gateway)}?device={device}&token={world.token(name)}", sock=sock, compression=None,
                 ping_interval=None, max_size=1 << 22, max_queue=1)
    assert json.loads(ws.recv(timeout=10))["code"] == 200
    return ws


def read_until(ws, message_id, timeout=30):
    """The pushes up to that one, acknowledged."""
    seen, deadline = [], time.monotonic() + timeout
    while not seen or seen[-1]["id"] != message_id:
        message = json.loads(ws.recv(timeout=max(0.01, deadline - time.monotonic())))
        if message["type"] == "push":
            seen.append(message)
            if "seq" in message:
                ws.send(json.dumps({"type": "ack", "seq": message["seq"]}))
    return seen


def abandon(ws):
    """Ends it without reading what is left."""
    ws.socket.shutdown(socket.SHUT_RDWR)
    ws.socket.close()
