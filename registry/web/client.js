// One connection to a gateway, as any client would make it: authenticate, heartbeat, acknowledge.
"use strict";

const HEARTBEAT_MS = 30000;

const closeTexts = {
  1000: "closed", 1001: "the gateway is stopping", 1006: "the connection failed or was cut", 1009: "message too large",
  4401: "not authorised", 4408: "time-out of authentication or heartbeat", 4409: "replaced by a newer connection of this device",
  4429: "too many messages", 4008: "too slow", 4503: "the gateway is draining",
};

class Client {
  // events: opened(), message(object), sent(object), closed(text)
  constructor(url, identity, events) {
    this.events = events;
    this.isOpen = false;
    this.socket = new WebSocket(url, "herald.json.v1");
    this.socket.addEventListener("open", () => this.send({
      type: "auth", userId: identity.user, token: identity.token, deviceId: identity.device || undefined, resume: true,
    }));
    this.socket.addEventListener("message", (event) => this.#receive(event.data));
    this.socket.addEventListener("close", (event) => this.#close(event));
  }

  send(object) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify(object));
    this.events.sent(object);
  }

  ack(seq) {
    this.send({ type: "ack", seq });
  }

  close() {
    this.socket.close(1000);
  }

  #receive(text) {
    let object;
    try {
      object = JSON.parse(text);
    } catch {
      object = { type: "unreadable", content: String(text) };
    }
    if (object.type === "auth_response" && object.code === 200) {
      this.isOpen = true;
      this.timer = setInterval(() => this.send({ type: "heartbeat", timestamp: Date.now() }), HEARTBEAT_MS);
      this.events.opened(object);
    }
    this.events.message(object);
  }

  #close(event) {
    clearInterval(this.timer);
    this.isOpen = false;
    const why = event.reason || closeTexts[event.code] || "closed";
    this.events.closed(event.code === 1000 ? "" : `${why} (${event.code})`);
  }
}
