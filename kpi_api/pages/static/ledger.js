// The loss ledger: one line in the masthead, and behind it a table of where every sample is. data-* carry the API's values.

import { clockTime, dateText, duration, number, say, sayReason, sayTrouble } from "./words.js";

const SIGNS = { balanced: "✓", moving: "⇄", broken: "✕" };
const MARKS = { alarm: "✕", warning: "▲", note: "•" };
const STALE_S = 60; // an agent tells its counts every few seconds: what is older is no news of now
const COUNTS = ["polled", "stored", "in_outbox", "rejected", "evicted", "unpersisted"];

const $ = (selector) => document.querySelector(selector);

export function drawLedger(ledger, now, zone) {
  const troubles = allTroubles(ledger);
  const worst = ["alarm", "warning"].find((severity) => troubles.some((one) => one.severity === severity));
  $("#books").dataset.severity = worst ?? "none";
  drawLine(ledger, troubles, worst);
  if (!$("#books").open) return;
  $("#books-table").replaceChildren(head(), ...ledger.items.map((agent) => agentRows(agent, now)));
  $("#books-troubles").replaceChildren(...troubles.map((one) => troubleEntry(one, now, zone)));
  $("#books-time").textContent = say("ledger_as_of", { time: clockTime(Date.parse(ledger.time), zone) });
}

function allTroubles(ledger) {
  const found = ledger.items.flatMap((agent) => agent.concerns.map((one) => ({ ...one, agent: agent.agent, letters: lettersOf(agent, one) })));
  const unclaimed = ledger.concerns.map((one) => ({ ...one, trouble: "unclaimed", agent: "", letters: ledger.unclaimed }));
  const order = Object.keys(MARKS);
  return [...found, ...unclaimed].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

// The reasons are told once for an agent.
const lettersOf = (agent, one) => (one.trouble === "unreadable" && agent.rejected ? {} : agent.dead_letters);

// The line

function drawLine(ledger, troubles, worst) {
  const sum = (name) => ledger.items.reduce((total, agent) => total + agent[name], 0);
  const line = $("#ledger");
  const polled = sum("polled");
  const parts = { stored: sum("stored"), in_outbox: 0, rejected: sum("rejected"), evicted: sum("evicted"), unpersisted: sum("unpersisted") };
  parts.in_outbox = Math.max(0, sum("appended") - parts.evicted - parts.stored - parts.rejected); // not stored yet
  Object.assign(line.dataset, { standing: ledger.standing, polled, ...parts, deadLetters: ledger.dead_letters });
  const shown = Object.entries(parts).filter(([name, count]) => count || name === "stored" || name === "in_outbox");
  const told = shown.map(([name, count]) => `${number(count)} ${say(name)}`).join(" + ");
  const letters = ledger.dead_letters ? ` · ${number(ledger.dead_letters)} ${say("dead_letters")}` : "";
  const counted = ledger.items.some((agent) => agent.polled);
  const sentence = counted ? `${number(polled)} ${say("polled")} = ${told}${letters}` : "";
  line.title = `${say("ledger_hint")}\n${sentence}`;
  line.replaceChildren(
    piece("b", say("ledger")),
    piece("span", counted ? `${SIGNS[ledger.standing]} ${say(ledger.standing)}` : say("ledger_empty"), "standing"),
    worst ? worstOf(troubles, worst) : piece("span", sentence, "sum"), // what is off goes before what adds up
  );
}

function worstOf(troubles, severity) {
  const others = troubles.filter((one) => one.severity !== "note").length - 1;
  const more = others ? ` ${say("ledger_more", { n: number(others) })}` : "";
  const first = troubles.find((one) => one.severity === severity);
  const entry = piece("span", `${MARKS[severity]} ${short(first)}${more}`, "trouble");
  entry.dataset.severity = severity;
  return entry;
}

const short = (one) => sayTrouble(one.trouble, "short", { n: number(one.samples), agent: one.agent });

// The table: a row for each agent, and for each of its outboxes where it has several

const COLUMNS = ["agent", "standing", ...COUNTS, "oldest_waits", "last_receipt", "heard"];

function head() {
  const row = document.createElement("tr");
  row.append(...COLUMNS.map((name) => Object.assign(piece("th", say(`ledger_${name}`, {}, name)), { scope: "col", title: say(`ledger_${name}_hint`, {}, "") })));
  const element = document.createElement("thead");
  element.append(row);
  return element;
}

function agentRows(agent, now) {
  const body = document.createElement("tbody");
  const lag = agent.receipt_lag_s ? duration(agent.receipt_lag_s) : say("no_value");
  const standing = `${SIGNS[agent.standing]} ${say(agent.standing)}`;
  body.append(row(agent, agent.agent, standing, lag, now));
  if (agent.outboxes.length > 1) {
    for (const outbox of agent.outboxes) body.append(outboxRow(outbox, now));
  }
  return body;
}

function outboxRow(outbox, now) {
  const lag = outbox.oldest_held ? duration(seconds(outbox.oldest_held, now)) : say("no_value");
  const made = row(outbox, `${say("ledger_outbox")} ${outbox.outbox.slice(0, 8)}`, "", lag, now);
  made.className += " outbox";
  made.title = outbox.outbox;
  return made;
}

function row(counts, name, standing, lag, now) {
  const made = document.createElement("tr");
  const age = counts.heard ? seconds(counts.heard, now) : null;
  const stale = age === null || age > STALE_S;
  made.className = stale ? "stale" : "";
  Object.assign(made.dataset, { agent: counts.agent ?? "", outbox: counts.outbox ?? "", standing: counts.standing ?? "" });
  const cells = [name, standing, ...COUNTS.map((count) => (count in counts ? number(counts[count]) : "")), lag];
  const receipt = counts.receipt_moved ? ago(counts.receipt_moved, now) : say("no_value");
  const heard = age === null ? say("ledger_never_heard") : say("ledger_ago", { age: duration(age) });
  made.append(...[...cells, receipt, heard].map((text, index) => cell(text, COLUMNS[index], counts)));
  return made;
}

function cell(text, column, counts) {
  const element = piece(column === "agent" ? "th" : "td", text, column);
  element.dataset.label = say(`ledger_${column}`, {}, column);
  const bad = ["rejected", "evicted"].includes(column) && counts[column] > 0;
  if (bad) element.dataset.severity = "warning";
  if (column === "standing" && counts.standing === "broken") element.dataset.severity = "alarm";
  return element;
}

const seconds = (time, now) => Math.max(0, (now - Date.parse(time)) / 1000);
const ago = (time, now) => say("ledger_ago", { age: duration(seconds(time, now)) });

// The troubles, each a sentence

function troubleEntry(one, now, zone) {
  const entry = document.createElement("li");
  Object.assign(entry.dataset, { severity: one.severity, trouble: one.trouble, agent: one.agent, samples: one.samples });
  const since = one.since ? `${day(one.since, now, zone)}${clockTime(Date.parse(one.since), zone)}` : "";
  const held = { n: number(one.samples), agent: one.agent, since, outbox: (one.outbox ?? "").slice(0, 8) };
  entry.append(piece("b", `${MARKS[one.severity]} ${short(one)}`), piece("span", sayTrouble(one.trouble, "long", held)));
  if (["rejected", "unreadable", "unclaimed"].includes(one.trouble)) entry.append(reasons(one));
  entry.title = one.text;
  return entry;
}

// A day is said where it is not today.
const day = (time, now, zone) =>
  dateText(Date.parse(time), zone) === dateText(now, zone) ? "" : `${dateText(Date.parse(time), zone)} `;

function reasons(one) {
  const list = document.createElement("span");
  list.className = "reasons";
  for (const [reason, count] of Object.entries(one.letters)) {
    const entry = piece("span", `${sayReason(reason)} ${number(count)}`);
    entry.title = reason;
    list.append(entry);
  }
  return list;
}

function piece(name, text, className = "") {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = className;
  return element;
}

// A click beside the table, or Escape, closes it.
export function closable(redraw) {
  const books = $("#books");
  books.addEventListener("toggle", redraw);
  document.addEventListener("click", (event) => {
    if (books.open && !books.contains(event.target)) books.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && books.open) {
      books.open = false;
      $("#ledger").focus();
    }
  });
}
