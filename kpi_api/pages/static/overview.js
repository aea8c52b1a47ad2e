// The live overview: one snapshot event in, everything on the page redrawn from it.

import { card, fillCard } from "./cards.js";
import { closable, drawLedger } from "./ledger.js";
import { KeyNeeded, ask, follow } from "./stream.js";
import { clockTime, dateText, label, number, say, sayState, speak, zoneName } from "./words.js";
import { drawHours, drawTimeline, drawLegend } from "./timeline.js";

const HOUR = 3600000;
const FULL_REFRESH_MS = 120000;
const REFRESH_MS = 5000;
const OVERLAP_MS = 600000;
const $ = (selector) => document.querySelector(selector);
const root = document.documentElement;

let plant = null;
let snapshot = null;
let received = 0; // performance.now() of the newest snapshot
let lostSince = null;
let stop = () => {};
const intervals = new Map(); // unit -> state intervals of the window
const hourly = new Map(); // unit -> KPI items by hour
const drawn = new WeakMap(); // trace -> what it shows
let fullAt = -Infinity;
let refreshedAt = -Infinity;
let toldUntil = 0; // newest sample among the intervals held
let refreshing = false;

// The plant's time now: the newest snapshot's, plus what has passed since.
const plantNow = () => (snapshot ? Date.parse(snapshot.time) + (performance.now() - received) : Date.now());
const zone = () => plant.sites[0].timezone;

async function start() {
  try {
    plant = (await (await ask("/api/v1/equipment")).json()).plant;
  } catch (error) {
    if (error instanceof KeyNeeded) return askForKey();
    await speakStored("id");
    lost();
    return void setTimeout(start, 3000);
  }
  await speakStored(plant.language);
  wear();
  listen();
}

async function speakStored(fallback) {
  const wanted = new URLSearchParams(location.search).get("lang") ?? localStorage.getItem("language") ?? fallback;
  await speak(wanted === "en" ? "en" : "id");
  wear();
}

function listen() {
  stop();
  const span = localStorage.getItem("window") === "shift" ? "shift" : "8h";
  root.dataset.span = span;
  press("#windows", "window", span);
  stop = follow(`/api/v1/stream?window=${span}`, { onSnapshot: show, onLost: lost, onKeyNeeded: askForKey });
}

function show(next) {
  snapshot = next;
  received = performance.now();
  lostSince = null;
  root.dataset.connection = "live";
  $("#notice").hidden = true;
  draw();
  refreshTraces();
}

function lost() {
  lostSince ??= plantNow();
  root.dataset.connection = "lost";
  notify();
}

function notify() {
  const notice = $("#notice");
  notice.hidden = lostSince === null;
  const at = clockTime(lostSince ?? 0, plant ? zone() : undefined);
  notice.textContent = say("lost", { time: at });
}

function askForKey() {
  stop();
  speakStored("id").then(() => ($("#key").hidden = false));
}

// Drawing

function wear() {
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  press("#languages", "language", root.lang);
  $("#windows").ariaLabel = say("window_label");
  $("#languages").ariaLabel = say("language");
  drawLegend($("#legend"));
  if (plant) $("#plant").textContent = plant.sites.map((site) => label(site.name, site.id)).join(" · ");
  if (lostSince !== null) notify();
  if (snapshot) draw();
}

function press(group, key, value) {
  for (const button of document.querySelectorAll(`${group} button`)) button.ariaPressed = String(button.dataset[key] === value);
}

function draw() {
  const units = $("#units");
  units.style.setProperty("--wanted", Math.ceil(Math.sqrt(snapshot.equipment.length)));
  const kpis = new Map(snapshot.kpis.map((item) => [item.unit, item]));
  const today = new Map(snapshot.today.map((item) => [item.unit, item]));
  for (const unit of snapshot.equipment) {
    const held = { kpi: kpis.get(unit.unit), today: today.get(unit.unit), intervals: intervals.get(unit.unit) ?? [] };
    fillCard(card(units, unit), unit, held, plantNow());
  }
  drawTally();
  drawLedger(snapshot.ledger, plantNow(), zone());
  drawTraces();
}

function drawTraces() {
  for (const element of document.querySelectorAll(".timeline, .hours")) {
    const unit = element.closest(".card").dataset.unit;
    const meter = element.classList.contains("hours");
    const held = (meter ? hourly : intervals).get(unit) ?? [];
    const { width, height } = element.getBoundingClientRect();
    const look = [width, height, root.lang, snapshot.window.end].join();
    const last = drawn.get(element);
    if (last?.held === held && last.look === look) continue; // drawing is dear on a small tablet
    drawn.set(element, { held, look });
    if (meter) drawHours(element, held, zone());
    else drawTimeline(element, held, windowMs(), zone());
  }
}

const windowMs = () => ({ start: Date.parse(snapshot.window.start), end: Date.parse(snapshot.window.end) });

function drawTally() {
  const counts = new Map();
  for (const element of document.querySelectorAll(".card.machine")) {
    counts.set(element.dataset.state, (counts.get(element.dataset.state) ?? 0) + 1);
  }
  const order = Object.keys({ unplanned_stop: 0, micro_stop: 0, starved: 0, blocked: 0, unknown: 0, setup: 0, running: 0 });
  const rank = (state) => (order.includes(state) ? order.indexOf(state) : order.length);
  const entries = [...counts].sort(([a], [b]) => rank(a) - rank(b));
  $("#tally").replaceChildren(
    ...entries.map(([state, count]) => {
      const entry = document.createElement("li");
      entry.className = "state";
      entry.dataset.state = state;
      entry.innerHTML = `<svg class="sign"><use href="#sign-${state}"/></svg><b></b> <span></span>`;
      entry.querySelector("b").textContent = number(count);
      entry.querySelector("span").textContent = sayState(state).toLowerCase();
      return entry;
    }),
  );
}

function tick() {
  if (!plant) return;
  const now = plantNow();
  $("#clock").textContent = clockTime(now, zone());
  $("#date").textContent = `${dateText(now, zone())} · ${zoneName(now, zone())}`;
  if (snapshot) for (const unit of snapshot.equipment) fillAge(unit, now);
}

function fillAge(unit, now) {
  const element = document.querySelector(`.card[data-unit="${CSS.escape(unit.unit)}"]`);
  element?.dispatchEvent(new CustomEvent("age", { detail: { unit, now } }));
}

// Traces: the timeline of the window, first whole, then only its young end; and the energy of whole hours

async function refreshTraces() {
  if (refreshing || performance.now() - refreshedAt < REFRESH_MS) return;
  refreshing = true;
  try {
    await Promise.all([refreshStates(), refreshHours()]);
    refreshedAt = performance.now();
    draw();
  } catch {
    fullAt = -Infinity; // the stream tells when the connection is back
  } finally {
    refreshing = false;
  }
}

async function refreshStates() {
  const { start, end } = windowMs();
  const whole = performance.now() - fullAt > FULL_REFRESH_MS;
  const from = whole ? start : Math.max(start, toldUntil - OVERLAP_MS);
  const to = Math.max(end, Date.parse(snapshot.time));
  const newest = Math.min(...snapshot.equipment.filter((unit) => unit.machine && unit.latest).map((unit) => Date.parse(unit.latest.time)));
  const { items } = await (await ask(`/api/v1/states?from=${rfc(from)}&to=${rfc(to)}`)).json();
  if (whole) fullAt = performance.now();
  toldUntil = Number.isFinite(newest) ? newest : from;
  for (const unit of snapshot.equipment) {
    const kept = whole ? [] : clip(intervals.get(unit.unit) ?? [], start, from);
    intervals.set(unit.unit, join([...kept, ...items.filter((item) => item.unit === unit.unit)]));
  }
}

const rfc = (instant) => new Date(instant).toISOString();

const clip = (list, start, end) =>
  list
    .filter((item) => Date.parse(item.start) < end && Date.parse(item.end) > start)
    .map((item) => (Date.parse(item.end) > end ? { ...item, end: rfc(end) } : item));

// The two halves of an interval that was cut at the seam are one again.
function join(list) {
  const joined = [];
  for (const item of list) {
    const last = joined.at(-1);
    if (last && last.category === item.category && last.code === item.code && Date.parse(last.end) === Date.parse(item.start)) {
      joined[joined.length - 1] = { ...last, end: item.end };
    } else joined.push(item);
  }
  return joined;
}

async function refreshHours() {
  const { start, end } = windowMs();
  const from = start - (start % HOUR);
  for (const unit of snapshot.equipment.filter((unit) => !unit.machine)) {
    const query = new URLSearchParams({ unit: unit.unit, from: rfc(from), to: rfc(end), by: "hour" });
    hourly.set(unit.unit, (await (await ask(`/api/v1/kpis?${query}`)).json()).items);
  }
}

// Controls

$("#languages").addEventListener("click", async ({ target }) => {
  if (!target.dataset.language) return;
  localStorage.setItem("language", target.dataset.language);
  await speak(target.dataset.language);
  wear();
  tick();
});

$("#windows").addEventListener("click", ({ target }) => {
  if (!target.dataset.window) return;
  localStorage.setItem("window", target.dataset.window);
  listen();
});

$("#key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("api-key", new FormData(event.target).get("key"));
  $("#key").hidden = true;
  start();
});

closable(() => snapshot && drawLedger(snapshot.ledger, plantNow(), zone()));
new ResizeObserver(() => snapshot && drawTraces()).observe($("#units"));
setInterval(tick, 500);
start();
