// Whether colours can be read in both themes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

const CSS = readFileSync(path.resolve(import.meta.dirname, "../../../src/output/page/assets/base.css"), "utf8");
const COLOURS = Object.fromEntries(
  [...CSS.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(([, name, light, dark]) => [
    name,
    [light, dark],
  ]),
);
const TONES = [
  "ok",
  "bad",
  "c1",
  "c2",
  "c3",
  "c4",
  "c5",
  "c6",
  "c7",
  "c8",
  "p50",
  "p75",
  "p90",
  "p95",
  "p99",
  "p999",
  "max",
];

/** Red, green and blue as amounts of light. */
function light(hex) {
  return [1, 3, 5].map((at) => {
    const part = parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
}

/** WCAG's contrast of two colours, 1 to 21. */
function contrast(a, b) {
  const [x, y] = [a, b].map(
    (hex) => light(hex).reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0) + 0.05,
  );
  return Math.max(x, y) / Math.min(x, y);
}

test("text has enough contrast in both themes", () => {
  assert.ok(Object.keys(COLOURS).length > 25);
  for (const theme of [0, 1]) {
    const on = (text, ground) =>
      assert.ok(
        contrast(COLOURS[text][theme], COLOURS[ground][theme]) >= 4.5,
        `${text} on ${ground} in ${["light", "dark"][theme]}: ${contrast(COLOURS[text][theme], COLOURS[ground][theme]).toFixed(2)}`,
      );
    for (const ground of ["back", "surface", "raised", "wash"]) for (const text of ["text", "quiet"]) on(text, ground);
    for (const text of ["good", "bad", "unsure", "accent"]) for (const ground of ["surface", "back"]) on(text, ground);
    for (const [text, ground] of [
      ["good", "good-wash"],
      ["bad", "bad-wash"],
      ["unsure", "unsure-wash"],
      ["accent", "running-wash"],
      ["text", "bad-wash"],
      ["quiet", "bad-wash"],
    ])
      on(text, ground);
    // Labels at the ends of lines are text in the colour of the line.
    for (const tone of TONES) on(tone, "surface");
  }
});
