"""permessage-deflate with context takeover (RFC 7692 section 7.1.1): windows that last, as many as the budget allows."""

import functools
import http.server
import json
import shutil
import subprocess
import threading
import zlib

import pytest

from conftest import World
from test_canary import metrics, wait_for
from test_deflate import OFFER
from test_protocol import Raw

WINDOWS = 3  # connections that may have one: each takes some 23 KiB


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("takeover"), gateways=1, workers=1, routers=1,
                  assignments={"ws.takeover_memory": f"{WINDOWS * 24}KiB"})
    yield world
    world.down()


def metric(world, name):
    return metrics(world.cluster.of("gateway")[0])[f"herald_gateway_ws_{name}"]


@pytest.fixture
def quiet(own):
    """Nobody is connected when a test begins."""
    yield own
    own.close_clients()
    wait_for(lambda: metric(own, "takeover_connections") == 0, 10, "windows of connections that are gone")


def quote(i):
    return {"symbol": "ACME"[i % 4:], "bid": 100 + i * 0.25, "ask": 100.5 + i * 0.25, "venue": "somewhere far away"}


def agreed(client):
    return client.ws.response.headers["Sec-WebSocket-Extensions"]


def test_the_library_understands_it(quiet, user):
    """`websockets` offers takeover, and inflates with a window that lasts."""
    names = [user() for _ in range(WINDOWS + 1)]
    clients = [quiet.connect(name) for name in names]
    assert [agreed(c) for c in clients[:WINDOWS]] == ["permessage-deflate; client_no_context_takeover"] * WINDOWS
    assert "server_no_context_takeover" in agreed(clients[-1])  # the budget is spent
    assert metric(quiet, "takeover_connections") == WINDOWS
    denied = metric(quiet, "takeover_denied_total")
    assert denied >= 1
    sent = []
    for i in range(30):
        sent += [(c, quiet.push({"user": name}, quote(i), flush=False), i) for c, name in zip(clients, names)]
        everyone = quiet.push({"all": True}, quote(i), flush=False)
        sent += [(c, everyone, i) for c in clients]
    quiet.pusher.flush()
    for client, message_id, i in sent:
        assert client.push(message_id)["content"] == quote(i)
    clients[0].send(type="message", id="c1", content=quote(1))
    assert clients[0].of_type("message_response")[0]["code"] == 200
    assert 0 < metric(quiet, "takeover_bytes") <= WINDOWS * 24 * 1024
    clients[1].close()
    wait_for(lambda: metric(quiet, "takeover_connections") == WINDOWS - 1, 10, "its window is given back")
    assert "server_no_context_takeover" not in agreed(quiet.connect(user()))


def test_a_second_message_refers_to_the_first(quiet, user):
    raw, name = Raw(quiet), user()
    raw.sock.sendall(raw.request(path=f"/ws?device=d1&token={quiet.token(name)}", Sec_WebSocket_Extensions=OFFER))
    assert "server_no_context_takeover" not in raw.head()[1]["sec-websocket-extensions"]
    lengths, window = [], zlib.decompressobj(wbits=-11)
    while len(lengths) < 6:
        opcode, payload = raw.frame()
        assert opcode == 1
        message = json.loads(window.decompress(payload + b"\x00\x00\xff\xff") if raw.rsv else payload)
        if message["type"] == "push":
            lengths.append(len(payload))
            raw.send_frame(1, json.dumps({"type": "ack", "seq": message["seq"]}).encode())
        if len(lengths) < 6:
            quiet.push({"user": name}, quote(1))
    raw.sock.close()
    assert min(lengths[1:]) < lengths[0] * 0.6


PAGE = """<script>
const socket = new WebSocket("%s", "herald.json.v1"), contents = [];
socket.onmessage = event => {
    const message = JSON.parse(event.data);
    if (message.type === "auth_response")
        fetch("/ready", {method: "POST"});
    if (message.type !== "push")
        return;
    socket.send(JSON.stringify({type: "ack", seq: message.seq}));
    if (contents.push(message.content) === %d)
        fetch("/done", {method: "POST", body: JSON.stringify({agreed: socket.extensions, contents})});
};
</script>"""


class Browsed(http.server.BaseHTTPRequestHandler):
    """Gives the page, and takes what it posts."""

    def __init__(self, page, posted, *args):
        self.page, self.posted = page, posted
        super().__init__(*args)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(self.page)

    def do_POST(self):
        self.posted[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"")

    def log_message(self, *args):
        pass


@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no chromium here")
def test_chromium_understands_it(quiet, user, tmp_path):
    name, count, posted = user(), 20, {}
    page = PAGE % (f"{quiet.url()}?device=d1&token={quiet.token(name)}", count)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Browsed, page.encode(), posted))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = subprocess.Popen(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}",
                                "--remote-debugging-port=0", f"http://127.0.0.1:{server.server_port}/"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: "/ready" in posted, 60, "the page is not connected")
        for i in range(count):
            quiet.push({"user": name}, quote(i))
        wait_for(lambda: "/done" in posted, 30, "the page did not get all")
    finally:
        browser.terminate()
        browser.wait(20)
        server.shutdown()
        server.server_close()
    done = json.loads(posted["/done"])
    assert "permessage-deflate" in done["agreed"] and "server_no_context_takeover" not in done["agreed"]
    assert done["contents"] == [quote(i) for i in range(count)]
