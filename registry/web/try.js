// The try page: connects as a user, shows what arrives, sends records through POST /api/v1/push.
"use strict";

const ARRIVALS_MAX = 200;
const CUSTOM = "custom";
const pushTypes = ["push", "broadcast", "topic", "cancel"];

const page = { client: null, mintsTokens: false, isEnabled: false };

// --- connecting ---

function showLink(text, kind) {
  byId("link").textContent = text;
  byId("link").className = `pill ${kind}`;
  byId("connect").textContent = page.client ? "Disconnect" : "Connect";
  for (const id of ["gateway", "url", "user", "device", "token"]) byId(id).disabled = Boolean(page.client);
}

function gatewayUrl() {
  const choice = byId("gateway").value;
  return choice === CUSTOM ? byId("url").value.trim() : choice;
}

async function findToken(user, device) {
  const typed = byId("token").value.trim();
  if (typed || !page.mintsTokens) return typed;
  const answer = await ask(`/api/v1/token?${new URLSearchParams({ user, device })}`);
  return answer.token;
}

const events = {
  opened: (answer) => showLink(`connected as ${answer.userId}${answer.session ? ` on ${answer.session}` : ""}`, "good"),
  sent: (object) => showArrival(object, "sent"),
  message: (object) => {
    showArrival(object, "received");
    if (object.type === "auth_response" && object.code !== 200) byId("connect-error").textContent = object.content || "refused";
    if (object.seq && byId("auto-ack").checked) page.client.ack(object.seq);
  },
  closed: (why) => {
    page.client = null;
    showLink("not connected", why ? "bad" : "");
    if (why) byId("connect-error").textContent = why;
  },
};

async function connect(event) {
  event.preventDefault();
  byId("connect-error").textContent = "";
  if (page.client) {
    page.client.close();
    return;
  }
  const user = byId("user").value.trim();
  const device = byId("device").value.trim();
  try {
    const token = await findToken(user, device);
    page.client = new Client(gatewayUrl(), { user, device, token }, events);
    showLink("connecting ...", "warn");
  } catch (error) {
    page.client = null;
    byId("connect-error").textContent = error.message;
  }
}

// --- what arrives ---

function ackButton(object) {
  const button = element("button", { type: "button", className: "small" }, "Acknowledge");
  button.addEventListener("click", () => {
    page.client?.ack(object.seq);
    button.replaceWith(element("span", { className: "pill good" }, "acknowledged"));
  });
  return button;
}

function facts(object) {
  const line = [];
  if (object.id) line.push(element("code", {}, object.id));
  if (object.seq) line.push(element("span", { className: "note" }, `seq ${object.seq}`));
  if (object.from) line.push(element("span", { className: "note" }, `from ${object.from}`));
  if (object.topic) line.push(element("span", { className: "note" }, `topic ${object.topic}`));
  if (object.timestamp && pushTypes.includes(object.type)) {
    line.push(element("span", { className: "note" }, `${wordSpan(Date.now() - object.timestamp)} after it was produced`));
  }
  return line;
}

function ackState(object) {
  if (!object.seq || object.type === "ack") return [];
  if (byId("auto-ack").checked) return [element("span", { className: "pill good" }, "acknowledged")];
  return [ackButton(object)];
}

function typePill(object, way) {
  const kind = object.type === "error" ? "bad" : way === "sent" ? "" : pushTypes.includes(object.type) ? "accent" : "";
  const text = object.type === "push" ? (object.seq ? "push, durable" : "push, volatile") : object.type;
  return element("span", { className: `pill ${kind}` }, way === "sent" ? `sent: ${text}` : text);
}

// A token is not for the screen.
function shown(object) {
  return object.token ? { ...object, token: "..." } : object;
}

// On one line where it fits, else indented.
function contentText(content) {
  const short = JSON.stringify(content) ?? "null";
  return short.length <= 80 ? short : JSON.stringify(content, null, 2);
}

function showArrival(object, way) {
  const isPush = pushTypes.includes(object.type);
  const isControl = way === "sent" || !(isPush || object.type === "error" || object.type === "reconnect");
  const text = isPush ? contentText(object.content) : JSON.stringify(shown(object));
  const item = element("li", { hidden: isControl && !byId("show-control").checked },
    element("div", { className: "line" }, element("time", {}, new Date().toLocaleTimeString()), typePill(object, way),
      ...(way === "received" ? [...ackState(object), ...facts(object)] : [])),
    element("pre", {}, text));
  item.dataset.control = isControl;
  byId("arrivals").prepend(item);
  while (byId("arrivals").children.length > ARRIVALS_MAX) byId("arrivals").lastChild.remove();
  showNothing();
}

function showNothing() {
  byId("nothing").hidden = Boolean(byId("arrivals").querySelector("li:not([hidden])"));
}

function filterArrivals() {
  for (const item of byId("arrivals").children) {
    item.hidden = item.dataset.control === "true" && !byId("show-control").checked;
  }
  showNothing();
}

// --- sending ---

function target() {
  const user = byId("to-user").value.trim();
  switch (byId("target").value) {
    case "user": return { user };
    case "device": return { user, device: byId("to-device").value.trim() };
    case "users": return { users: user.split(",").map((id) => id.trim()).filter(Boolean) };
    default: return { all: true };
  }
}

// The record as text: the content stays as it was typed, numbers included. Throws when it is not JSON.
function recordText() {
  const content = byId("body").value.trim();
  JSON.parse(content);
  const head = { to: target() };
  if (byId("class").value) head.class = byId("class").value;
  head.from = "try page";
  return `${JSON.stringify(head).slice(0, -1)},"content":${content}}`;
}

function showRecord() {
  const kind = byId("target").value;
  byId("target-fields").hidden = kind === "all";
  byId("to-device-field").hidden = kind !== "device";
  byId("to-user-label").textContent = kind === "users" ? "Users, separated by commas" : "User";
  try {
    byId("record").textContent = recordText();
    byId("body-error").textContent = "";
    byId("body").removeAttribute("aria-invalid");
  } catch (error) {
    byId("body-error").textContent = `not JSON: ${error.message}`;
    byId("body").setAttribute("aria-invalid", "true");
  }
  byId("send").disabled = !page.isEnabled || byId("body").hasAttribute("aria-invalid");
}

function showAnswer(text, className) {
  byId("send-answer").textContent = text;
  byId("send-answer").className = className;
}

async function send(event) {
  event.preventDefault();
  const started = performance.now();
  showAnswer("waiting for Kafka ...", "note");
  try {
    const answer = await ask("/api/v1/push", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: recordText(),
    });
    showAnswer(`Kafka has ${answer.id} (${Math.round(performance.now() - started)} ms)`, "ok");
  } catch (error) {
    showAnswer(error.message, "error");
  }
}

// --- the start ---

async function loadGateways() {
  let answer = { gateways: [] };
  try {
    answer = await ask("/api/v1/try");
  } catch (error) {
    byId("connect-error").textContent = error.message;
  }
  page.mintsTokens = answer.mintsTokens;
  page.isEnabled = answer.enabled;
  byId("disabled").hidden = answer.enabled !== false;
  byId("token").placeholder = answer.mintsTokens ? "empty: this registry mints one" : "needed unless auth.mode=none";
  const label = (g) => (g.name === g.url ? g.url : `${g.name}  ${g.url}`);
  byId("gateway").replaceChildren(
    ...answer.gateways.map((g) => element("option", { value: g.url }, label(g))),
    element("option", { value: CUSTOM }, "another URL ..."));
  chooseGateway();
  showRecord();
}

function chooseGateway() {
  byId("url-field").hidden = byId("gateway").value !== CUSTOM;
}

byId("connect-form").addEventListener("submit", connect);
byId("send-form").addEventListener("submit", send);
byId("send-form").addEventListener("input", showRecord);
byId("gateway").addEventListener("change", chooseGateway);
byId("show-control").addEventListener("change", filterArrivals);
byId("clear").addEventListener("click", () => {
  byId("arrivals").replaceChildren();
  showNothing();
});
loadGateways();
