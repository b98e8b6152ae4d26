"""A TCP proxy that can hold back what one connection sends: bytes that are on their way for as long as a test likes."""

import socket
import threading
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def restart(daemon, **settings):
    daemon.process.stop()
    daemon.settings.update(settings)
    daemon.write_config({})
    daemon.start_ready()


def hold_gateway(gateway, **settings):
    """Starts it anew, with what routers send to it going through a Holding. It is to know them still when that was held: else it
    refuses them as strangers."""
    port = free_port()
    to_gateway = Holding(("127.0.0.1", port), listen=("127.0.0.2", port))
    restart(gateway, **{"link.listen": f"tcp://127.0.0.1:{port}", "link.advertise": "127.0.0.2", "link.silence": "90s"}, **settings)
    return to_gateway


class Way:
    """One connection through the proxy; what its client sends may be held."""

    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.server = socket.create_connection(proxy.to)
        self.seen, self.held = b"", None  # held: bytes that wait, once there are any
        for source, send in ((client, self._up), (self.server, self.client.sendall)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._copy, args=(source, send), daemon=True).start()

    def _copy(self, source, send):
        try:
            while data := source.recv(1 << 16):
                send(data)
        except OSError:
            pass
        self.close()

    def _up(self, data):
        with self.proxy.changed:
            proxy, self.seen = self.proxy, self.seen[-(1 << 16):] + data
            is_marked = proxy.marker and proxy.marker in self.seen[-len(data) - len(proxy.marker):]
            if self.held is None and is_marked and proxy.sender in self.seen:
                self.held = b""
            if self.held is None:
                self.server.sendall(data)
            else:
                self.held += data
                proxy.changed.notify_all()

    def let_go(self):
        if self.held is not None:
            self.server.sendall(self.held)
            self.held = None

    def close(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Holding:
    def __init__(self, to, listen=("127.0.0.1", 0)):
        self.to, self.ways, self.changed = to, [], threading.Condition()
        self.marker = self.sender = b""
        self.listener = socket.create_server(listen)
        self.address = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                self.ways.append(Way(self, client))
            except OSError:  # whom it leads to is not there now
                client.close()

    def hold(self, marker, sender=b""):
        """From `marker` on, what comes on a connection (one on which `sender` was seen) goes no further."""
        with self.changed:
            self.marker, self.sender = marker, sender

    def wait_held(self, timeout=10, marker=None):
        """Until something is held; with a marker, until that is in it."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while not any(way.held and (marker or self.marker) in way.held for way in self.ways):
                assert self.changed.wait(deadline - time.monotonic()), f"nothing held after {timeout} s"

    def count(self, text):
        """How often clients have said that, of late."""
        with self.changed:
            return sum(way.seen.count(text) for way in self.ways)

    def held(self):
        with self.changed:
            return b"".join(way.held or b"" for way in self.ways)

    def release(self):
        """What was held goes on its way, and all that follows."""
        with self.changed:
            self.marker = b""
            for way in self.ways:
                way.let_go()

    def close(self):
        self.listener.close()
        for way in self.ways:
            way.close()
