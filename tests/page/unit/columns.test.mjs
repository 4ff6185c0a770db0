// Arrays by time: moments, rates, sums, stacks, paths.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  axisOf,
  extent,
  median,
  peak,
  perSecond,
  phasePerRequest,
  stacked,
  sum,
  sums,
  visibleColumns,
} from "../../../src/output/page/assets/columns.js";
import { areaPath, crossPath, linePath, lonePath } from "../../../src/output/page/assets/paths.js";

test("columns lie in the middle of their time, the last one is short", () => {
  const axis = axisOf({ interval_s: 5, count: 3, last_s: 2 });
  assert.deepEqual(axis.centres, [2.5, 7.5, 11]);
  assert.equal(axis.end, 12);
  assert.deepEqual(axisOf({ interval_s: 1, count: 0, last_s: 0 }), {
    count: 0,
    interval: 1,
    last: 0,
    end: 0,
    centres: [],
  });
});

test("rates are counts a second, also of a short last column", () => {
  assert.deepEqual(perSecond([10, null, 6], axisOf({ interval_s: 2, count: 3, last_s: 1 })), [5, null, 6]);
  assert.deepEqual(
    perSecond([10, 3], axisOf({ interval_s: 1, count: 2, last_s: 0.1 })),
    [10, null],
    "too short to tell",
  );
  assert.deepEqual(perSecond([4], axisOf({ interval_s: 1, count: 1, last_s: 0.1 })), [40], "but it is all there is");
  assert.equal(perSecond(null, axisOf({ interval_s: 1, count: 1, last_s: 1 })), null);
});

test("sums, peaks and middles pass over gaps", () => {
  assert.equal(sum([1, null, 2]), 3);
  assert.deepEqual(sums([[1, null], null, [2, null]]), [3, null]);
  assert.deepEqual(peak([null, 3, 7, 7]), { value: 7, index: 2 });
  assert.equal(peak([null]), null);
  assert.equal(median([5, null, 1, 3]), 3);
  assert.equal(median([]), null);
  assert.deepEqual(extent([[0, 4, null, 100]], 0, 2), { low: 4, high: 4 });
  assert.equal(extent([[null]], 0, 0), null);
});

test("a phase's mean counts all requests, not those alone that had it", () => {
  assert.deepEqual(phasePerRequest({ avg: [10, null, 4], count: [5, 0, 2] }, [10, 10, 0]), [5, 0, null]);
  assert.equal(phasePerRequest(undefined, [1]), null);
});

test("stacks add up, gaps are flat", () => {
  assert.deepEqual(
    stacked([
      [1, 2],
      [3, null],
    ]),
    [
      { lower: [0, 0], upper: [1, 2] },
      { lower: [1, 2], upper: [4, 2] },
    ],
  );
  assert.deepEqual(stacked([]), []);
});

test("the columns that are seen reach one over the edges", () => {
  const axis = axisOf({ interval_s: 1, count: 10, last_s: 1 });
  assert.deepEqual(visibleColumns(axis, [0, 10]), [0, 9]);
  assert.deepEqual(visibleColumns(axis, [3, 5]), [2, 5]);
  assert.deepEqual(visibleColumns(axisOf({ interval_s: 1, count: 0 }), [0, 1]), [0, -1]);
});

test("lines lift the pen at gaps, and lone values are dots", () => {
  const y = (v) => v;
  const values = [1, 2, null, 4, null];
  assert.equal(linePath([0, 1, 2, 3, 4], values, y, 0, 4), "M0 1L1 2M3 4");
  assert.equal(lonePath([0, 1, 2, 3, 4], values, y, 0, 4), "M3 4h0");
  assert.equal(areaPath([0, 1], [0, 0], [5, 6], y, 0, 1), "M0 5L1 6L1 0L0 0Z");
  assert.equal(areaPath([9], [0], [5], y, 0, 0, 2), "M7 5H11V0H7Z");
  assert.equal(areaPath([], [], [], y, 0, -1), "");
  assert.equal(crossPath([[5, 5]], 2), "M3 3l4 4m0 -4l-4 4");
});
