// One card per unit. data-* attributes carry the API's exact values; texts are for people.

import { duration, label, minuteTime, number, percent, say, sayState, share } from "./words.js";

const FACTORS = { availability: "availability", effectiveness: "effectiveness", quality_ratio: "quality" };
const DELIVERY_S = 10; // beyond its max_age a sample may be so long on its way before its unit looks silent
const FAR_BELOW = 0.85; // of the target: then the bar takes a colour

// The unit's card in its place, made when it is not there yet.
export function card(parent, unit) {
  const found = parent.querySelector(`[data-unit="${CSS.escape(unit.unit)}"]`);
  if (found) return found;
  const template = document.getElementById(unit.machine ? "machine-card" : "meter-card");
  const made = template.content.firstElementChild.cloneNode(true);
  made.dataset.unit = unit.unit;
  for (const factor of unit.machine ? Object.keys(FACTORS) : []) made.querySelector(".bars").append(barRow(factor));
  if (unit.machine) made.querySelector(".figure").append(bar("oee_index"));
  else made.querySelector(".figure").append(bar("power"));
  made.addEventListener("age", ({ detail }) => fillAge(made, detail.unit, detail.now));
  parent.append(made);
  return made;
}

function barRow(factor) {
  const row = document.createElement("li");
  row.dataset.factor = factor;
  row.innerHTML = `<span class="label"></span>`;
  row.append(bar(factor), Object.assign(document.createElement("span"), { className: "value" }));
  return row;
}

function bar(name) {
  const element = document.createElement("span");
  element.className = "bullet";
  element.dataset.bar = name;
  element.innerHTML = `<i class="doubt"></i><i class="fill"></i><i class="target"></i>`;
  return element;
}

export function fillCard(element, unit, held, now) {
  const at = (selector) => element.querySelector(selector);
  for (const worded of element.querySelectorAll("[data-text]")) worded.textContent = say(worded.dataset.text);
  at("h2").textContent = label(unit.name, unit.work_unit);
  at(".where").textContent = `${label(unit.area_name, unit.area)} · ${label(unit.work_center_name, unit.work_center)}`;
  fillQuality(element, held.kpi);
  element.held = held;
  fillAge(element, unit, now);
  if (unit.machine) fillMachine(element, unit, held.kpi);
  else fillMeter(element, unit, held.today);
}

function fillQuality(element, kpi) {
  const at = (selector) => element.querySelector(selector);
  Object.assign(element.dataset, {
    start: kpi.start, end: kpi.end, coverage: kpi.coverage, final: kpi.final, revision: kpi.revision, flags: kpi.flags.join(" "),
  });
  at(".coverage .value").textContent = kpi.coverage === null ? say("no_value") : `${share(kpi.coverage)} %`;
  at(".known").style.width = `${(kpi.coverage ?? 0) * 100}%`;
  at(".finality").textContent = say(kpi.final ? "final" : "provisional") + (kpi.revision ? ` · r${kpi.revision}` : "");
}

function fillMachine(element, unit, kpi) {
  const at = (selector) => element.querySelector(selector);
  for (const [name, value] of Object.entries(kpi.kpis)) element.dataset[camel(name)] = value;
  const oee = kpi.kpis.oee_index;
  figure(at(".figure .value"), percent(oee), oee === null ? "" : "%");
  fillBar(at(".figure .bullet"), oee, unit.targets.oee, kpi.kpis);
  const { oee_low: low, oee_high: high } = kpi.kpis;
  const doubtful = low !== null && high !== null && high - low >= 0.0005;
  at(".range").textContent = doubtful ? `${say("range")} ${percent(low)}–${percent(high)} %` : targetText(unit.targets.oee);
  at(".range").title = doubtful ? say("range_hint") : "";
  for (const [factor, target] of Object.entries(FACTORS)) {
    const row = at(`[data-factor="${factor}"]`);
    const value = kpi.kpis[factor];
    row.querySelector(".label").textContent = say(factor);
    row.querySelector(".value").textContent = mark(value, unit.targets[target]) + percent(value);
    row.title = value > 1 ? say("over") : targetText(unit.targets[target]);
    fillBar(row.querySelector(".bullet"), value, unit.targets[target]);
  }
}

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
const targetText = (target) => (target === undefined ? "" : `${say("target")} ${percent(target, 0)} %`);

// Shape beside colour: a small triangle for below target, a flag for above one.
function mark(value, target) {
  if (value > 1) return "⚑ ";
  return value !== null && target !== undefined && value < target ? "▾ " : "";
}

function fillBar(element, value, target, bounds = {}) {
  const [doubt, fill, goal] = element.children;
  fill.style.width = `${Math.min(value ?? 0, 1) * 100}%`;
  element.classList.toggle("over", value > 1);
  element.classList.toggle("low", value !== null && target !== undefined && value < target * FAR_BELOW);
  element.classList.toggle("void", value === null);
  goal.hidden = target === undefined;
  goal.style.left = `${(target ?? 0) * 100}%`;
  const { oee_low: low = null, oee_high: high = null } = bounds;
  doubt.hidden = low === null || high === null || high - low < 0.0005;
  if (!doubt.hidden) Object.assign(doubt.style, { left: `${low * 100}%`, width: `${(Math.min(high, 1) - low) * 100}%` });
}

function figure(element, text, unit) {
  element.innerHTML = "<span></span><small></small>";
  element.firstChild.textContent = text;
  element.lastChild.textContent = unit;
}

function fillMeter(element, unit, today) {
  const at = (selector) => element.querySelector(selector);
  const power = unit.latest?.values.power_kw ?? null;
  const kwh = (today.elements.energy_kwh ?? 0) + (today.elements.unattributed_energy_kwh ?? 0);
  const peak = today.elements.demand_max_kw ?? null;
  Object.assign(element.dataset, { powerKw: power, energyKwh: kwh, peakKw: peak, todayStart: today.start, todayEnd: today.end });
  figure(at(".figure .value"), power === null ? say("no_value") : number(power, power < 100 ? 1 : 0), power === null ? "" : "kW");
  fillBar(at(".figure .bullet"), power === null || !unit.max_power_kw ? null : power / unit.max_power_kw);
  at(".range").textContent = unit.max_power_kw ? `${say("at_most")} ${number(unit.max_power_kw)} kW` : "";
  at(".energy").textContent = `${number(kwh, kwh < 1000 ? 1 : 0)} kWh`;
  const when = peak === null ? "" : ` · ${minuteTime(today.elements.demand_max_kw_at, unit.timezone)}`;
  at(".peak").textContent = peak === null ? say("no_value") : `${number(peak, peak < 100 ? 1 : 0)} kW${when}`;
}

function fillAge(element, unit, now) {
  const at = (selector) => element.querySelector(selector);
  const age = unit.latest ? Math.max(0, (now - Date.parse(unit.latest.time)) / 1000) : null;
  const stale = age === null || age > unit.max_age_s + DELIVERY_S;
  element.classList.toggle("stale", stale);
  element.dataset.stale = stale;
  element.dataset.latest = unit.latest?.time ?? "";
  at(".age").textContent = age === null ? say("never") : `${say(stale ? "stale" : "data_age")} ${duration(age)}`;
  if (unit.machine) fillState(element, stale ? "unknown" : unit.latest.category, now);
  else fillMeterState(element, stale);
}

function fillState(element, state, now) {
  const at = (selector) => element.querySelector(selector);
  element.dataset.state = state;
  at(".state").dataset.state = state;
  at(".sign use").setAttribute("href", `#sign-${state}`);
  at(".word").textContent = sayState(state);
  const last = element.held.intervals.at(-1);
  const since = last?.category === state ? runStart(element.held.intervals) : null;
  at(".since").textContent = since === null ? "" : duration((now - since) / 1000);
}

// The last intervals of one category, whatever their state code, are one run.
function runStart(intervals) {
  let first = intervals.length - 1;
  while (first > 0 && intervals[first - 1].category === intervals[first].category) first--;
  return Date.parse(intervals[first].start);
}

function fillMeterState(element, stale) {
  element.querySelector(".state").dataset.state = stale ? "unknown" : "meter";
  element.querySelector(".sign use").setAttribute("href", stale ? "#sign-unknown" : "#sign-meter");
  element.querySelector(".word").textContent = stale ? sayState("unknown") : "";
}
