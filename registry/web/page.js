// What both pages use: making elements, asking the API, words for numbers and times.
"use strict";

// element("td", {className: "right"}, "text", otherElement)
function element(name, properties, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

// The JSON of an answer; an Error with its "error" text otherwise.
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Error("the registry cannot be reached");
  }
  const document = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = new Error(document.error || `the registry answered with code ${response.status}`);
    error.code = response.status;
    throw error;
  }
  return document;
}

function wordSpan(ms) {
  const units = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"]];
  for (const [size, unit] of units) {
    if (ms >= size) return `${Math.floor(ms / size)} ${unit}`;
  }
  return `${Math.max(0, Math.round(ms))} ms`;
}

function wordTime(unixMs) {
  return unixMs ? new Date(unixMs).toLocaleString() : "–";
}

function wordCount(n) {
  return Math.round(n || 0).toLocaleString();
}

function wordRate(n) {
  return (n || 0).toLocaleString(undefined, { maximumFractionDigits: n < 100 ? 1 : 0 });
}
