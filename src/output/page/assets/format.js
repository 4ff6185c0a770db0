// Numbers as people read them: the same everywhere, whatever the language of the browser.
//
// A formatter takes a number in its base unit (milliseconds, bytes, a share of 1) and answers text with a unit.
// What is unknown (null, NaN) is a dash. Spaces before units don't break (U+00A0); thousands are set off by commas.

const UNKNOWN = "–";
const MINUS = "−";

/** Whether there is a number to show. */
export function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/** Sets thousands off by commas in the text of a number. */
function grouped(text) {
  const [whole, fraction] = text.split(".");
  const commas = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? commas : `${commas}.${fraction}`;
}

/** A number with so many significant digits, never in scientific notation: 1234.5 with three is "1,235". */
export function digits(value, significant = 3) {
  if (!known(value)) return UNKNOWN;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const decimals = Math.min(6, Math.max(0, significant - 1 - Math.floor(Math.log10(size))));
  // Rounding may carry into another digit: 9.999 is "10.0", not "10.00".
  const rounded = Number(size.toFixed(decimals));
  const again =
    rounded === 0 ? decimals : Math.min(decimals, Math.max(0, significant - 1 - Math.floor(Math.log10(rounded))));
  return (value < 0 ? MINUS : "") + grouped(size.toFixed(again));
}

/** The same, without zeros that say nothing: for ticks and limits, which are round by choice. */
export function plain(value, significant = 4) {
  const text = digits(value, significant);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A count: whole, all of its digits; a fraction (a mean of merged seconds) with three. */
export function count(value) {
  if (!known(value)) return UNKNOWN;
  if (!Number.isInteger(value)) return digits(value);
  return (value < 0 ? MINUS : "") + grouped(String(Math.abs(value)));
}

/** A count in few characters: 12,345 is "12.3 k". For axes and tiles. */
export function brief(value, write = digits) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  for (const [step, letter] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e4, "k"],
  ]) {
    if (size >= step) return `${write(value / (letter === "k" ? 1e3 : step))}\u00a0${letter}`;
  }
  return Number.isInteger(value) ? count(value) : write(value);
}

/** A time in milliseconds: "420 µs", "12.3 ms", "1.50 s", "2 min 5 s". */
export function latency(ms, write = digits) {
  if (!known(ms)) return UNKNOWN;
  const size = Math.abs(ms);
  if (size === 0) return "0\u00a0ms";
  if (size < 0.9995) return `${write(ms * 1000)}\u00a0µs`;
  if (size < 999.5) return `${write(ms)}\u00a0ms`;
  if (size < 99_950) return `${write(ms / 1000)}\u00a0s`;
  return span(ms / 1000);
}

/** How long something took, in seconds: "0.42 s", "45 s", "2 min 5 s", "1 h 30 min". */
export function span(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds < 59.95) return `${plain(seconds, 3)}\u00a0s`;
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h > 0) return `${h}\u00a0h${m > 0 ? `\u00a0${m}\u00a0min` : ""}`;
  return `${m}\u00a0min${s > 0 ? `\u00a0${s}\u00a0s` : ""}`;
}

/** A moment of the run, in seconds from its start: mm:ss, h:mm:ss from an hour on; below zero is before the load. */
export function clock(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds < 0) return `${MINUS}${clock(-seconds)}`;
  const tenths = Math.round(seconds * 10);
  const whole = Math.floor(tenths / 10);
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const fraction = tenths % 10 === 0 ? "" : `.${tenths % 10}`;
  return `${h > 0 ? `${h}:` : ""}${two(m)}:${two(s)}${fraction}`;
}

/** Bytes, in powers of 1000: "512 B", "12.3 kB", "4.56 MB". */
export function bytes(value, write = digits) {
  if (!known(value)) return UNKNOWN;
  const names = ["B", "kB", "MB", "GB", "TB", "PB"];
  let [step, size] = [0, Math.abs(value)];
  while (size >= 999.5 && step < names.length - 1) [size, step] = [size / 1000, step + 1];
  const text = step === 0 ? count(Math.round(value)) : write(value < 0 ? -size : size);
  return `${text}\u00a0${names[step]}`;
}

/** A share of 1 as a percentage. What is not quite all, or not quite nothing, never reads as if it were. */
export function share(value) {
  if (!known(value)) return UNKNOWN;
  if (value === 0) return "0\u00a0%";
  if (value < 0.000005) return "<\u00a00.001\u00a0%";
  if (value < 1 && value > 0.9999) return ">\u00a099.99\u00a0%";
  const percent = value * 100;
  return `${plain(percent, percent > 90 && percent < 100 ? 4 : 3)}\u00a0%`;
}

/** A percentage that is already one. */
export function percent(value, write = digits) {
  return known(value) ? `${write(value)}\u00a0%` : UNKNOWN;
}

/** Something a second. */
export function rate(value) {
  return known(value) ? `${digits(value)}/s` : UNKNOWN;
}

/** What units are written how: `value` in text and tables, `tick` on axes, `words` for headings of columns. */
export const UNITS = {
  count: { value: count, tick: (v) => brief(v, plain), words: "" },
  rate: { value: rate, tick: (v) => brief(v, plain), words: "per second" },
  ms: { value: (v) => latency(v), tick: (v) => latency(v, plain), words: "ms" },
  bytes: { value: (v) => bytes(v), tick: (v) => bytes(v, plain), words: "bytes" },
  byterate: {
    value: (v) => (known(v) ? `${bytes(v)}/s` : UNKNOWN),
    tick: (v) => `${bytes(v, plain)}/s`,
    words: "bytes per second",
  },
  share: { value: share, tick: share, words: "share" },
  percent: { value: (v) => percent(v), tick: (v) => percent(v, plain), words: "%" },
};

/** A number with a noun: "1 request", "2 requests". */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** The beginning of a text that may be too long for its place. */
export function clipped(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** A list in a sentence: "a", "a and b", "a, b and c". */
export function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
