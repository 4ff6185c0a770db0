// Live updates applied to a document.

import assert from "node:assert/strict";
import { test } from "node:test";

import { applyUpdate } from "../../../src/output/page/assets/merge.js";

const BEFORE = Object.freeze({
  live: true,
  totals: { requests: 30 },
  time: { interval_s: 1, count: 3, last_s: 1 },
  series: {
    requests_ok: [10, 11, 9],
    latency: { p50: [1, 2, 3] },
    vus_target: null,
    errors: { kinds: [{ message: "a" }], counts: [[0, 1, 0]] },
  },
  heatmap: {
    interval_s: 2,
    count: 2,
    bounds_ms: [1, 2, 4],
    cells: [
      [0, 5],
      [1, 2],
    ],
  },
  requests: [
    {
      method: "GET",
      name: "x",
      count: 20,
      series: { interval_s: 1, count: 3, requests_ok: [7, 7, 6] },
      distribution: { percentiles: [0, 100] },
    },
    { method: "POST", name: "x", count: 10, series: null },
  ],
});

test("arrays by time are cut and continued, the rest is replaced, what is missing stays", () => {
  const now = applyUpdate(BEFORE, {
    totals: { requests: 45 },
    time: { interval_s: 1, count: 5, last_s: 1, from: 2 },
    series: { requests_ok: [8, 7, 6], latency: { p50: [4, null, 5] } },
  });
  assert.deepEqual(now.series.requests_ok, [10, 11, 8, 7, 6]);
  assert.deepEqual(now.series.latency.p50, [1, 2, 4, null, 5]);
  assert.deepEqual(now.totals, { requests: 45 });
  assert.equal(now.series.vus_target, null);
  assert.equal(now.heatmap, BEFORE.heatmap);
  assert.deepEqual(BEFORE.series.requests_ok, [10, 11, 9], "the document before is left alone");
});

test("a kind of error that is new had none before", () => {
  const now = applyUpdate(BEFORE, {
    time: { interval_s: 1, count: 4, from: 3 },
    series: { errors: { kinds: [{ message: "a" }, { message: "b" }], counts: [[2], [7]] } },
  });
  assert.deepEqual(now.series.errors.counts, [
    [0, 1, 0, 2],
    [0, 0, 0, 7],
  ]);
  assert.deepEqual(
    now.series.errors.kinds.map((k) => k.message),
    ["a", "b"],
  );
});

test("a series that was not known before begins with a gap", () => {
  const now = applyUpdate(BEFORE, { time: { from: 3, count: 4 }, series: { vus_target: [5] } });
  assert.deepEqual(now.series.vus_target, [null, null, null, 5]);
});

test("the heatmap is cut at its own column", () => {
  const now = applyUpdate(BEFORE, {
    time: { from: 3 },
    heatmap: {
      interval_s: 2,
      count: 3,
      from: 1,
      bounds_ms: [1, 2, 4],
      cells: [
        [1, 3],
        [0, 1],
      ],
    },
  });
  assert.deepEqual(now.heatmap.cells, [
    [0, 5],
    [1, 3],
    [0, 1],
  ]);
});

test("requests are matched by method and name, and new ones are added", () => {
  const now = applyUpdate(BEFORE, {
    time: { from: 3 },
    requests: [
      { method: "GET", name: "x", count: 25, series: { interval_s: 1, count: 4, from: 3, requests_ok: [5] } },
      { method: "GET", name: "new", count: 1 },
    ],
  });
  assert.deepEqual(
    now.requests.map((r) => [r.method, r.name, r.count]),
    [
      ["GET", "x", 25],
      ["POST", "x", 10],
      ["GET", "new", 1],
    ],
  );
  assert.deepEqual(now.requests[0].series.requests_ok, [7, 7, 6, 5]);
  assert.deepEqual(now.requests[0].distribution, { percentiles: [0, 100] });
});
