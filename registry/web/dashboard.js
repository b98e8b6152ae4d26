// The cluster page: asks /api/v1/stats and /api/v1/instances every second.
"use strict";

const REFRESH_MS = 1000;
const POINTS = 120;

const tiles = [
  { key: "users", title: "Users online", word: wordCount },
  { key: "sessions", title: "Sessions", word: wordCount },
  { key: "connections", title: "Connections", word: wordCount },
  { key: "consumedPerSecond", title: "Records from Kafka /s", word: wordRate },
  { key: "outPerSecond", title: "Frames to clients /s", word: wordRate },
  { key: "inPerSecond", title: "Frames from clients /s", word: wordRate },
];

const page = { isPaused: false, instances: [], lastMs: 0 };

function makeTiles() {
  for (const tile of tiles) {
    tile.chart = new Chart(tile.title, POINTS);
    tile.number = element("p", { className: "number" }, "–");
    tile.range = element("span", {}, "");
    byId("tiles").append(
      element("div", { className: "tile" }, element("h2", {}, tile.title), tile.number, tile.chart.svg,
        element("div", { className: "range" }, element("span", {}, "2 min"), tile.range)));
  }
}

function showTiles(cluster) {
  for (const tile of tiles) {
    const value = cluster[tile.key] || 0;
    tile.number.textContent = tile.word(value);
    tile.chart.add(value);
    tile.range.textContent = `highest ${tile.word(tile.chart.highest)}`;
  }
}

function versionsText(versions) {
  return Object.entries(versions).map(([version, count]) => `${version || "?"} × ${count}`).join(", ") || "–";
}

function showFacts(stats) {
  const facts = [
    ["Leader", stats.leader?.id || "none"],
    ["Answered by", stats.registry],
    ["Gateways", stats.live.gateways],
    ["Routers", stats.live.routers],
    ["Registries", stats.live.registries],
    ["Draining", stats.live.draining],
    ["Dead or stopped", stats.live.dead],
    ["Membership version", stats.membersVersion || "–"],
    ["Versions", versionsText(stats.versions)],
  ];
  fillFacts("facts", facts);
}

function fillFacts(id, facts) {
  byId(id).replaceChildren(...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))));
}

const OUTCOME_NAMES = {
  acked: "Acknowledged", written: "Written", stored: "Stored", expired: "Expired", dropped: "Dropped",
  duplicate: "Duplicates", dead: "Dead letters",
};

/* Of the live routers, since they started; what was accepted is the sum of the others. */
function showAudit(audit) {
  const total = audit.total;
  const unheard = audit.routers.filter((row) => !row.isFresh).map((row) => row.router);
  const state = !audit.balanced ? ["does not add up", "bad"] : audit.complete ? ["balanced", "good"] : ["incomplete", "warn"];
  byId("audit-state").textContent = state[0];
  byId("audit-state").className = `pill ${state[1]}`;
  const outcomes = {};
  for (const row of audit.partitions)
    for (const [kind, count] of Object.entries(row.outcomes))
      outcomes[kind] = (outcomes[kind] || 0) + count;
  fillFacts("audit-facts", [
    ["Accepted", wordCount(total.accepted)],
    ...Object.entries(outcomes).sort().map(([kind, count]) => [OUTCOME_NAMES[kind] || kind, wordCount(count)]),
    ["Abandoned", wordCount(total.abandoned)],
    ["In flight", wordCount(total.inFlight)],
  ]);
  byId("audit-note").textContent = `No fresh accounts of ${unheard.join(", ")}.`;
  byId("audit-note").hidden = unheard.length === 0;
  byId("audit-faults").replaceChildren(...audit.faults.map((text) => element("li", {}, text)));
  byId("audit-faults").hidden = audit.faults.length === 0;
}

const pillOf = { live: "good", draining: "warn", dead: "bad", left: "" };

function instanceRow(row) {
  const isLive = row.heartbeatAgeMs !== undefined;
  const number = (text) => element("td", { className: "right" }, isLive ? text : "–");
  const beat = isLive ? `${wordSpan(row.heartbeatAgeMs)} ago` : `gone ${wordSpan(row.deadForMs)}`;
  const isGateway = row.role === "gateway";
  const hasRates = isGateway || row.role === "router";
  return element("tr", { className: isLive ? "" : "gone" },
    element("td", { className: "strong" }, row.instance),
    element("td", {}, row.role || "–"),
    element("td", {}, element("span", { className: `pill ${pillOf[row.state] || ""}` }, row.state === "left" ? "stopped" : row.state)),
    element("td", { className: "right" }, beat),
    number(row.startedMs ? wordSpan(Date.now() - row.startedMs) : "–"),
    number(isGateway ? wordCount(row.connections) : "–"),
    number(isGateway ? wordCount(row.users) : "–"),
    number(hasRates ? wordRate(row.inPerSecond) : "–"),
    number(hasRates ? wordRate(row.outPerSecond) : "–"),
    number(`${wordRate((row.load || 0) * 100)} %`),
    element("td", {}, row.version || "–"),
    element("td", {}, row.url || row.admin || "–"));
}

const roleOrder = ["gateway", "router", "registry"];

// The living first, by role, then by name as people count: gw2 before gw10.
function compareRows(a, b) {
  const gone = (row) => (row.heartbeatAgeMs === undefined ? 1 : 0);
  return gone(a) - gone(b) || roleOrder.indexOf(a.role) - roleOrder.indexOf(b.role)
    || a.instance.localeCompare(b.instance, undefined, { numeric: true });
}

function showInstances() {
  const withGone = byId("show-gone").checked;
  const rows = page.instances.filter((row) => withGone || row.heartbeatAgeMs !== undefined).sort(compareRows);
  byId("instances").replaceChildren(...rows.map(instanceRow));
  byId("no-instances").hidden = rows.length > 0;
}

function showTrouble(text) {
  byId("trouble").hidden = !text;
  if (byId("trouble").textContent !== text) byId("trouble").textContent = text;
}

function showFresh() {
  byId("fresh").textContent = page.isPaused ? "paused"
    : page.lastMs ? `updated ${new Date(page.lastMs).toLocaleTimeString()}` : "waiting for an answer";
}

async function refresh() {
  if (!page.isPaused && !document.hidden) {
    try {
      const [stats, list, audit] = await Promise.all([ask("/api/v1/stats"), ask("/api/v1/instances"), ask("/api/v1/audit")]);
      showTiles(stats.cluster);
      showFacts(stats);
      showAudit(audit);
      page.instances = list.instances;
      showInstances();
      page.lastMs = Date.now();
      showTrouble(stats.redisUp ? "" : "Redis cannot be reached: what you see is from before. Connected users go on being served.");
    } catch (error) {
      showTrouble(`No fresh numbers: ${error.message}.`);
    }
    showFresh();
  }
  setTimeout(refresh, REFRESH_MS);
}

function deviceRow(device) {
  return element("tr", {},
    element("td", { className: "strong" }, device.device || "(default)"),
    element("td", {}, element("span", { className: `pill ${device.online ? "good" : ""}` }, device.online ? "online" : "offline")),
    element("td", {}, device.online ? device.instance : "–"),
    element("td", {}, device.online ? wordTime(device.sinceMs) : "–"),
    element("td", {}, wordTime(device.lastSeenMs)),
    element("td", { className: "right" }, wordCount(device.mailbox)));
}

function userAnswer(user) {
  const titles = ["Device", "State", "Instance", "Connected since", "Last seen", "Mailbox"];
  const head = titles.map((title, i) => element("th", { scope: "col", className: i === 5 ? "right" : "" }, title));
  return element("div", { className: "fields" },
    element("p", { className: "row" }, element("strong", {}, user.user),
      element("span", { className: `pill ${user.online ? "good" : ""}` }, user.online ? "online" : "offline"),
      element("span", { className: "note" }, `${wordCount(user.mailbox)} messages wait in the mailbox`)),
    element("div", { className: "scroll" }, element("table", {},
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...user.devices.map(deviceRow)))));
}

async function findUser(event) {
  event.preventDefault();
  const id = byId("user-id").value;
  try {
    byId("user-answer").replaceChildren(userAnswer(await ask(`/api/v1/users/${encodeURIComponent(id)}`)));
  } catch (error) {
    const text = error.code === 404 ? `Nothing is known of ${id}: no session, no device, no mailbox.` : error.message;
    byId("user-answer").replaceChildren(element("p", { className: "note" }, text));
  }
}

byId("pause").addEventListener("click", () => {
  page.isPaused = !page.isPaused;
  byId("pause").textContent = page.isPaused ? "Go on" : "Pause";
  byId("pause").setAttribute("aria-pressed", String(page.isPaused));
  showFresh();
});
byId("show-gone").addEventListener("change", showInstances);
byId("user-form").addEventListener("submit", findUser);
makeTiles();
refresh();
