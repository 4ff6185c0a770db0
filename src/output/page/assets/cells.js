// Columns that tables have in common, and the small drawings in their cells.

import { h, svg } from "./dom.js";
import { clock, count, latency, share } from "./format.js";
import { PHASES } from "./styles.js";

/** A column of times in milliseconds. */
export function timeColumn(key, label, value, title) {
  return { key, label, number: true, title, value: (row) => value(row) ?? null, text: (row) => latency(value(row)) };
}

/** Columns of a distribution. */
export function statsColumns(of = (row) => row.duration) {
  return [
    ["med", "p50"],
    ["p95", "p95"],
    ["p99", "p99"],
    ["max", "Slowest"],
  ].map(([key, label]) => timeColumn(key, label, (row) => of(row)?.[key]));
}

/** A column of whole numbers. */
export function countColumn(key, label, value = (row) => row[key], tone) {
  return { key, label, number: true, tone, value: (row) => value(row) ?? null, text: (row) => count(value(row)) };
}

/** A column of words. */
export function textColumn(key, label, value = (row) => row[key]) {
  return { key, label, value: (row) => value(row) || null, text: (row) => String(value(row) || "–") };
}

/** A column of moments of the run. */
export function momentColumn(key, label) {
  return { key, label, number: true, value: (row) => row[key], text: (row) => clock(row[key]) };
}

/** A share of failures: the number, in red when there are any. */
export function failedColumn(key, label, failed, all) {
  return {
    key,
    label,
    number: true,
    value: (row) => (all(row) > 0 ? failed(row) / all(row) : null),
    text: (row) => share(all(row) > 0 ? failed(row) / all(row) : null),
    tone: (row) => (failed(row) > 0 ? "bad" : null),
  };
}

/** The bar of a threshold: how much of the limit was used. The line is the limit; what is over is hatched. */
export function thresholdBar(row) {
  if (row.used === null || row.used === undefined) return h("span", { class: "quiet" }, "–");
  // The limit is at the same place in all rows; what is far beyond it fills the bar.
  const limit = 70;
  const used = Math.min(row.used * limit, 100);
  return svg(
    "svg",
    {
      class: "bar",
      viewBox: "0 0 100 12",
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `${share(row.used)} of the limit`,
    },
    svg("rect", { class: "bar-track", x: 0, y: 3, width: 100, height: 6, rx: 3 }),
    svg("rect", {
      class: row.ok === false ? "bar-bad" : "bar-ok",
      x: 0,
      y: 3,
      width: Math.max(used, 1),
      height: 6,
      rx: 3,
    }),
    svg("path", { class: "bar-limit", d: `M${limit} 0V12` }),
  );
}

/** A word with a sign, so that it is no matter of colour. */
export function sign(ok, words) {
  if (ok === null || ok === undefined) return h("span", { class: "sign quiet" }, `… ${words[2] ?? "no data yet"}`);
  return h("span", { class: ok ? "sign good" : "sign bad" }, ok ? `✓ ${words[0]}` : `✗ ${words[1]}`);
}

/** The phases that a single request had, with their times. */
function phasesOf(row) {
  const long = { tls: "tls_handshaking" };
  const time = (key) => row.phases?.[key] ?? row.phases?.[`${long[key] ?? key}_ms`] ?? 0;
  return PHASES.map((phase) => ({ ...phase, ms: time(phase.key) })).filter((phase) => phase.ms > 0);
}

/** The longest phase of a single request; nothing when none is known. */
export function longestPhase(row) {
  return phasesOf(row).sort((a, b) => b.ms - a.ms)[0];
}

/** The whole time of a single request, phase by phase, and in words which took longest. */
export function phaseBar(row) {
  const parts = phasesOf(row);
  const largest = longestPhase(row);
  if (!largest) return h("span", { class: "quiet" }, "–");
  const all = parts.reduce((t, p) => t + p.ms, 0);
  let x = 0;
  const bars = parts.map((p) => {
    const width = (p.ms / all) * 100;
    x += width;
    return svg(
      "g",
      { class: `tone-${p.tone}` },
      svg(
        "rect",
        { class: "area", x: x - width, y: 2, width, height: 8 },
        svg("title", {}, `${p.label}: ${latency(p.ms)}`),
      ),
    );
  });
  return h(
    "span",
    { class: "phase-cell" },
    svg("svg", { class: "bar", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" }, bars),
    `${largest.label} ${share(largest.ms / all)}`,
  );
}
