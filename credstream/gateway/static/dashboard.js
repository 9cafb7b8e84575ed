"use strict";
const names = JSON.parse(document.getElementById("names").dataset.names);
const number = new Intl.NumberFormat("en-CA");
const by = (id) => document.getElementById(id);
const sum = (values) => Object.values(values || {}).reduce((a, b) => a + b, 0);
let before = null;

function fill(id, rows) {
  const body = by(id).tBodies[0];
  body.replaceChildren(...rows.map(([label, value]) => {
    const row = document.createElement("tr");
    for (const text of [label, value]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  }));
  if (!rows.length) body.insertRow().insertCell().textContent = "none";
}

const sorted = (values) => Object.entries(values || {}).sort((a, b) => b[1] - a[1]);
const words = (label) => label.replaceAll("_", " ");

function spark(minutes) {
  const top = Math.max(1, ...minutes), wide = 600 / minutes.length;
  by("spark").replaceChildren(...minutes.map((count, i) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const high = count ? Math.max(2, 112 * count / top) : 0;
    for (const [name, value] of Object.entries({ x: i * wide + 1, y: 118 - high, width: wide - 2, height: high, fill: "currentColor" }))
      bar.setAttribute(name, value);
    return bar;
  }));
}

function show(flow) {
  const t = flow.tallies, issued = sum(t.issued);
  const counts = { received: flow.inbox, decided: sum(t.decided), issued, lists: flow.lists.reduce((a, l) => a + l.version, 0) };
  const shown = (name) => (counts[name] === null ? "–" : number.format(counts[name]));
  for (const name of ["received", "decided", "issued"]) by(name).textContent = shown(name);
  for (const place of document.querySelectorAll("[data-count]")) place.textContent = shown(place.dataset.count);
  by("revoked").textContent = number.format((t.status || {}).revoked || 0);
  by("aside").textContent = number.format(sum(t.quarantined));
  if (before && flow.at > before.at) by("rate").textContent = number.format(Math.round((issued - before.issued) / (flow.at - before.at)));
  if (!before || flow.at > before.at) before = { at: flow.at, issued };
  for (const stop of document.querySelectorAll("[data-processor]")) {
    const lanes = flow.lag[stop.dataset.processor], note = stop.querySelector("em");
    const behind = lanes ? lanes.reduce((a, b) => a + b, 0) : null;
    note.textContent = behind === null ? "unknown" : behind ? `${number.format(behind)} behind` : "up to date";
    note.classList.toggle("behind", Boolean(behind));
  }
  fill("by-achievement", sorted(t.issued).map(([label, count]) => [names[label] || label, number.format(count)]));
  fill("verdicts", [...sorted(t.decided), ...sorted(t.verdict)].map(([label, count]) => [words(label), number.format(count)]));
  fill("reasons", sorted(t.quarantined).map(([label, count]) => [words(label), number.format(count)]));
  fill("lists", flow.lists.map((l) => [new URL(l.url).pathname, `version ${l.version}, ${number.format(l.set_bits)} revoked`]));
  spark(flow.issued_by_minute);
  by("at").textContent = new Date(flow.at * 1000).toLocaleTimeString();
}

async function turn() {
  const alarm = by("alarm");
  try {
    const answer = await fetch("/v1/flow");
    if (!answer.ok) throw new Error(`the gateway answers ${answer.status}`);
    const flow = await answer.json();
    show(flow);
    alarm.hidden = flow.kafka;
    alarm.textContent = flow.kafka ? "" : `Kafka does not answer: ${flow.why}`;
  } catch (error) {
    alarm.hidden = false;
    alarm.textContent = `No news: ${error.message}`;
  }
  setTimeout(turn, 1000);
}
turn();
