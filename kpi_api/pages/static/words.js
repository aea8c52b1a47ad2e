// Words and numbers in the chosen language. Texts are data: text.<language>.json.

let text = {};
let locale = "en-GB";

export async function speak(language) {
  text = await (await fetch(`/static/text.${language}.json`)).json();
  locale = text.locale;
  document.documentElement.lang = language;
  document.title = text.title;
}

export const say = (key, values = {}, fallback = key) => filled(text[key] ?? text[fallback] ?? fallback, values);

const filled = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

export const sayState = (category) => text.state?.[category] ?? category;

export const sayTrouble = (trouble, length, values) => filled(text.trouble?.[trouble]?.[length] ?? trouble, values);
export const sayReason = (reason) => text.letter?.[reason] ?? reason;

export const label = (labels, fallback) =>
  labels[document.documentElement.lang] ?? labels.en ?? Object.values(labels)[0] ?? fallback;

export const number = (value, digits = 0) =>
  value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const percent = (ratio, digits = 1) => (ratio === null || ratio === undefined ? say("no_value") : number(ratio * 100, digits));

// Never rounds up to a full 100: 0.9996 known is not all known.
export const share = (ratio) =>
  ratio === null || ratio === undefined ? say("no_value") : number(Math.floor(ratio * 1000 + 1e-9) / 10, 1);

export function duration(seconds) {
  if (seconds < 120) return say("ago_s", { n: number(Math.max(0, Math.floor(seconds))) });
  if (seconds < 7200) return say("ago_min", { n: number(Math.floor(seconds / 60)) });
  return say("ago_h", { n: number(seconds / 3600, seconds < 86400 ? 1 : 0) });
}

const times = (options) => (instant, timeZone) =>
  new Date(instant).toLocaleString(locale, { ...options, timeZone });

export const clockTime = (instant, timeZone) =>
  new Date(instant).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone });
export const minuteTime = (instant, timeZone) =>
  new Date(instant).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
export const dateText = times({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
export const zoneName = (instant, timeZone) =>
  new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: "short" })
    .formatToParts(new Date(instant))
    .find((part) => part.type === "timeZoneName").value;
