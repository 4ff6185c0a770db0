// Numbers as people read them.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  brief,
  bytes,
  clipped,
  clock,
  count,
  counted,
  digits,
  latency,
  listed,
  percent,
  plain,
  rate,
  share,
  span,
  UNITS,
} from "../../../src/output/page/assets/format.js";

/** Holds a table of arguments and what they become. Spaces that don't break are written as `_`. */
function holds(write, table) {
  for (const [value, text] of table)
    assert.equal(write(value).replaceAll("\u00a0", "_"), text, `${write.name}(${value})`);
}

test("significant digits, without scientific notation", () => {
  holds(digits, [
    [0, "0"],
    [1, "1.00"],
    [9.999, "10.0"],
    [99.96, "100"],
    [1234.5, "1,235"],
    [1234567, "1,234,567"],
    [0.00123, "0.00123"],
    [0.0000001, "0.000000"],
    [-2.5, "−2.50"],
    [null, "–"],
    [NaN, "–"],
    [Infinity, "–"],
  ]);
  holds(plain, [
    [10, "10"],
    [2.5, "2.5"],
    [0.1, "0.1"],
    [1000, "1,000"],
    [100, "100"],
  ]);
});

test("counts keep all of their digits", () => {
  holds(count, [
    [0, "0"],
    [999, "999"],
    [1000, "1,000"],
    [1234567890, "1,234,567,890"],
    [2.5, "2.50"],
    [-1000, "−1,000"],
    [undefined, "–"],
  ]);
  holds(brief, [
    [999, "999"],
    [9999, "9,999"],
    [12345, "12.3_k"],
    [1042527, "1.04_M"],
    [2.5e9, "2.50_G"],
    [0.25, "0.250"],
  ]);
});

test("latencies take the unit that suits", () => {
  holds(latency, [
    [0, "0_ms"],
    [0.0421, "42.1_µs"],
    [0.42, "420_µs"],
    [0.9996, "1.00_ms"],
    [1, "1.00_ms"],
    [12.34, "12.3_ms"],
    [999.4, "999_ms"],
    [999.6, "1.00_s"],
    [75_000, "75.0_s"],
    [125_000, "2_min_5_s"],
    [null, "–"],
  ]);
});

test("moments and times", () => {
  holds(clock, [
    [0, "00:00"],
    [59, "00:59"],
    [61.5, "01:01.5"],
    [3599, "59:59"],
    [3600, "1:00:00"],
    [36_061, "10:01:01"],
    [0.96, "00:01"],
    [null, "–"],
  ]);
  holds(span, [
    [0.42, "0.42_s"],
    [45, "45_s"],
    [60, "1_min"],
    [125, "2_min_5_s"],
    [5400, "1_h_30_min"],
    [3600, "1_h"],
  ]);
});

test("bytes, rates and percentages", () => {
  holds(bytes, [
    [0, "0_B"],
    [512, "512_B"],
    [999.6, "1.00_kB"],
    [12345, "12.3_kB"],
    [4.56e6, "4.56_MB"],
    [7e15, "7.00_PB"],
  ]);
  holds(rate, [
    [0, "0/s"],
    [1737.6, "1,738/s"],
  ]);
  holds(percent, [[87.25, "87.3_%"]]);
  holds(UNITS.byterate.value, [
    [14_500_000, "14.5_MB/s"],
    [null, "–"],
  ]);
});

test("a share never reads as all or nothing when it is not", () => {
  holds(share, [
    [0, "0_%"],
    [1, "100_%"],
    [0.000001, "<_0.001_%"],
    [0.00006, "0.006_%"],
    [0.99999, ">_99.99_%"],
    [0.0103, "1.03_%"],
    [0.5, "50_%"],
    [0.98971, "98.97_%"],
    [0.9951, "99.51_%"],
  ]);
});

test("words", () => {
  assert.equal(counted(1, "request"), "1 request");
  assert.equal(counted(1200, "request"), "1,200 requests");
  assert.equal(listed(["a", "b", "c"]), "a, b and c");
  assert.equal(listed([]), "");
  assert.equal(clipped("abcdef", 4), "abc…");
  assert.equal(clipped("abcd", 4), "abcd");
});
