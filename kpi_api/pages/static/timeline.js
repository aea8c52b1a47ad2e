// Drawings in SVG: the state timeline, a meter's energy by hour, and the legend. Height and pattern speak beside colour.

import { minuteTime, number, say, sayState } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const HOUR = 3600000;
const AXIS = 18; // px below the trace for the hours
// Share of the height: production stands tall, planned rest lies low. Order is the order of painting.
const HEIGHTS = {
  not_scheduled: 0.18, planned_stop: 0.3, no_order: 0.42, setup: 0.66, running: 1,
  unknown: 1, starved: 0.8, blocked: 0.8, micro_stop: 1, unplanned_stop: 1,
};
const SHOWN_ALWAYS = new Set(["unplanned_stop", "micro_stop", "unknown"]);
const MIN_PX = 1.5;

function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function canvas(element) {
  const { width, height } = element.getBoundingClientRect();
  element.setAttribute("viewBox", `0 0 ${width} ${height}`);
  return { width, height: height - AXIS };
}

export function drawTimeline(element, intervals, { start, end }, zone) {
  const { width, height } = canvas(element);
  if (width === 0) return;
  const x = (instant) => ((instant - start) / (end - start)) * width;
  const ground = shape("rect", { x: 0, y: 0, width, height, class: "ground" });
  const bars = intervals
    .filter((item) => Date.parse(item.end) > start && Date.parse(item.start) < end)
    .sort((a, b) => rank(a) - rank(b))
    .map((item) => bar(item, x, height, start, end, zone));
  element.replaceChildren(ground, ...axis(start, end, x, height, width, zone), ...bars);
  element.setAttribute("aria-label", say("timeline"));
}

const rank = (item) => Object.keys(HEIGHTS).indexOf(item.category);

function bar(item, x, height, start, end, zone) {
  const low = Math.max(Date.parse(item.start), start);
  const high = Math.min(Date.parse(item.end), end);
  const tall = height * (HEIGHTS[item.category] ?? 1);
  const least = SHOWN_ALWAYS.has(item.category) ? MIN_PX : 0;
  const rect = shape("rect", {
    x: x(low), y: height - tall, width: Math.max(x(high) - x(low), least), height: tall, class: `time ${item.category}`,
  });
  Object.assign(rect.dataset, { category: item.category, start: item.start, end: item.end });
  const times = `${minuteTime(Date.parse(item.start), zone)}–${minuteTime(Date.parse(item.end), zone)}`;
  rect.append(shape("title", {}, `${sayState(item.category)} ${times}`));
  return rect;
}

function axis(start, end, x, height, width, zone) {
  const step = width < 420 ? 2 * HOUR : HOUR;
  const marks = [];
  for (let hour = Math.ceil(start / HOUR) * HOUR; hour < end; hour += HOUR) {
    marks.push(shape("line", { x1: x(hour), x2: x(hour), y1: 0, y2: height + 4, class: "tick" }));
    const at = x(hour);
    const named = (hour / HOUR) % (step / HOUR) === 0 && at > 14 && at < width - 14;
    if (named) marks.push(shape("text", { x: at, y: height + AXIS - 3, class: "hour" }, minuteTime(hour, zone).slice(0, 5)));
  }
  return marks;
}

export function drawHours(element, items, zone) {
  const { width, height } = canvas(element);
  if (width === 0 || items.length === 0) return;
  const kwh = (item) => (item.elements.energy_kwh ?? 0) + (item.elements.unattributed_energy_kwh ?? 0);
  const most = Math.max(...items.map(kwh), 1e-9);
  const pitch = width / items.length;
  const top = 14; // px for the numbers
  const shapes = items.flatMap((item, index) => {
    const tall = (kwh(item) / most) * (height - top);
    const rect = shape("rect", {
      x: index * pitch + pitch * 0.14, width: pitch * 0.72, y: height - tall, height: tall,
      class: index === items.length - 1 ? "energy now" : "energy",
    });
    Object.assign(rect.dataset, { start: item.start, end: item.end, kwh: kwh(item) });
    const middle = index * pitch + pitch / 2;
    return [
      rect,
      shape("text", { x: middle, y: height - tall - 4, class: "hour" }, item.flags.includes("no_data") ? say("no_value") : number(kwh(item))),
      shape("text", { x: middle, y: height + AXIS - 3, class: "hour" }, minuteTime(Date.parse(item.start), zone).slice(0, width < 420 ? 2 : 5)),
    ];
  });
  element.replaceChildren(shape("line", { x1: 0, x2: width, y1: height, y2: height, class: "tick" }), ...shapes);
  element.setAttribute("aria-label", say("energy_hourly"));
}

export function drawLegend(element) {
  const order = ["running", "setup", "starved", "blocked", "micro_stop", "unplanned_stop", "no_order", "planned_stop", "not_scheduled", "unknown"];
  element.replaceChildren(
    ...order.map((category) => {
      const entry = document.createElement("span");
      const key = shape("svg", { class: "key", viewBox: "0 0 18 14" });
      const tall = 14 * HEIGHTS[category];
      key.append(shape("rect", { x: 0, y: 0, width: 18, height: 14, class: "ground" }));
      key.append(shape("rect", { x: 0, y: 14 - tall, width: 18, height: tall, class: `time ${category}` }));
      const sign = shape("svg", { class: "sign" });
      sign.append(shape("use", { href: `#sign-${category}` }));
      entry.append(key, sign, sayState(category));
      entry.className = "entry";
      return entry;
    }),
  );
}
