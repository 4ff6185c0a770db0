// Scales and ticks.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  linear,
  linearTicks,
  logarithmic,
  logTicks,
  nearest,
  ninesScale,
  roundLog,
  spread,
  timeScale,
} from "../../../src/output/page/assets/scale.js";

test("ticks of a linear axis are round, begin at zero and cover the largest value", () => {
  for (const [max, ticks] of [
    [0, [0, 1]],
    [1, [0, 0.25, 0.5, 0.75, 1]],
    [7.3, [0, 2, 4, 6, 8]],
    [2799, [0, 1000, 2000, 3000]],
    [0.0003, [0, 0.0001, 0.0002, 0.0003]],
  ]) {
    assert.deepEqual(linearTicks(max), ticks, `up to ${max}`);
  }
  assert.deepEqual(linearTicks(2, 4, true), [0, 1, 2], "whole numbers only");
});

test("a linear scale goes there and back", () => {
  const scale = linear(90, 200, 0);
  assert.equal(scale.at(0), 200);
  assert.equal(scale.at(scale.max), 0);
  assert.ok(Math.abs(scale.back(scale.at(33)) - 33) < 1e-9);
});

test("a logarithmic scale has round ends around the data", () => {
  const scale = logarithmic(4.2, 730, 100, 0);
  assert.deepEqual([scale.min, scale.max], [2, 1000]);
  assert.equal(scale.at(2), 100);
  assert.equal(scale.at(0), 100, "nothing lies below the paper");
  assert.ok(Math.abs(scale.back(scale.at(50)) - 50) < 1e-9);
  assert.deepEqual(logarithmic(5, 5, 1, 0).ticks, [5, 10, 20, 50], "one value still makes an axis");
  assert.equal(logarithmic(0, 0, 1, 0).min, 1, "and so does none");
});

test("ticks of a logarithmic axis thin out", () => {
  assert.deepEqual(logTicks(1, 100, 5), [1, 2, 5, 10, 20, 50, 100]);
  assert.deepEqual(logTicks(1, 10_000, 5), [1, 10, 100, 1000, 10_000]);
  assert.deepEqual(logTicks(0.001, 100_000, 4), [0.001, 0.1, 10, 1000, 100_000]);
  assert.equal(roundLog(730, true), 1000);
  assert.equal(roundLog(4.2, false), 2);
});

test("ticks of time are on round moments", () => {
  assert.deepEqual(timeScale(0, 600, 0, 500).ticks, [0, 120, 240, 360, 480, 600]);
  assert.deepEqual(
    timeScale(61, 95, 0, 500).ticks,
    [65, 70, 75, 80, 85, 90, 95].filter((t) => t % 10 === 0),
  );
  assert.deepEqual(timeScale(0, 0, 0, 500).max, 1, "an empty run has a second");
});

test("nines are evenly apart", () => {
  const scale = ninesScale(99.99, 0, 400);
  assert.deepEqual(
    [0, 90, 99, 99.9, 99.99].map((p) => Math.round(scale.at(p))),
    [0, 100, 200, 300, 400],
  );
  assert.equal(Math.round(scale.at(100)), 400, "all is as far as the axis goes");
});

test("the nearest value of a rising list", () => {
  assert.equal(nearest([], 3), -1);
  assert.equal(nearest([5], 3), 0);
  const values = [0.5, 1.5, 2.5, 3.5];
  for (const [wanted, index] of [
    [-9, 0],
    [0.9, 0],
    [1.1, 1],
    [3.4, 3],
    [99, 3],
  ])
    assert.equal(nearest(values, wanted), index, `${wanted}`);
});

test("labels keep their distance and stay on the paper", () => {
  assert.deepEqual(spread([50, 50, 50], 12, 0, 100), [50, 62, 74]);
  assert.deepEqual(spread([99, 98], 12, 0, 100), [100, 88]);
  assert.deepEqual(spread([10, 80], 12, 0, 100), [10, 80]);
  assert.deepEqual(spread([], 12, 0, 100), []);
});
