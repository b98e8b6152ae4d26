// A small live chart of the last values of one number: an SVG line over a filled area, from zero up.
"use strict";

class Chart {
  constructor(label, points) {
    this.label = label;
    this.points = points; // shown at the most
    this.values = [];
    const ns = "http://www.w3.org/2000/svg";
    this.svg = document.createElementNS(ns, "svg");
    this.svg.setAttribute("class", "chart");
    this.svg.setAttribute("viewBox", "0 0 100 40");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    this.area = document.createElementNS(ns, "path");
    this.area.setAttribute("class", "area");
    this.line = document.createElementNS(ns, "path");
    this.line.setAttribute("class", "line");
    this.svg.append(this.area, this.line);
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > this.points) this.values.shift();
    this.draw();
  }

  get highest() {
    return Math.max(...this.values, 0);
  }

  draw() {
    const top = this.highest || 1;
    const step = 100 / (this.points - 1);
    const start = 100 - (this.values.length - 1) * step; // the newest stands at the right edge
    const spots = this.values.map((v, i) => `${(start + i * step).toFixed(2)} ${(39 - (v / top) * 37).toFixed(2)}`);
    this.line.setAttribute("d", `M${spots.join("L")}`);
    this.area.setAttribute("d", `M${start.toFixed(2)} 40L${spots.join("L")}L100 40Z`);
    this.svg.setAttribute("aria-label", `${this.label}: now ${wordRate(this.values.at(-1))}, highest ${wordRate(top)}`);
  }
}
