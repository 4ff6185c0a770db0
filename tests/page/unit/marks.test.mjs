// What is marked on the time axis.

import assert from "node:assert/strict";
import { test } from "node:test";

import { joined, marksOf, notesAt } from "../../../src/output/page/assets/marks.js";

test("spans that overlap are shaded once, and say all that they are for", () => {
  const spans = [
    { from_s: 8, to_s: 12, texts: ["late"] },
    { from_s: 0, to_s: 5, texts: ["cpu"] },
    { from_s: 4, to_s: 6, texts: ["late"] },
    { from_s: 6, to_s: 7, texts: ["cpu"] },
  ];
  assert.deepEqual(joined(spans), [
    { from_s: 0, to_s: 7, texts: ["cpu", "late"] },
    { from_s: 8, to_s: 12, texts: ["late"] },
  ]);
  assert.deepEqual(joined([]), []);
});

test("what happened is told at its moment, once", () => {
  const marks = marksOf({
    marks: [
      { at_s: 0, kind: "stage", scenario: "a", text: "0 to 5 VUs" },
      { at_s: 30, kind: "stage", scenario: "a", text: "5 VUs" },
      { at_s: 40, kind: "control", scenario: "a", text: "paused" },
    ],
    events: [{ at_s: 40, kind: "control", bad: false, text: "paused" }],
    limits: [{ found: "cpu", spans: [{ from_s: 50, to_s: 60 }] }],
  });
  assert.equal(marks.events.length, 1, "a control that is an event and a mark");
  const at = (seconds) => notesAt(marks, seconds, 1).map((note) => note.text);
  assert.deepEqual(at(10), ["a: 0 to 5 VUs"]);
  assert.deepEqual(at(40), ["a: 5 VUs", "00:40 paused"]);
  assert.deepEqual(at(55), ["a: 5 VUs", "generator at its limit: doubt these numbers"]);
});

test("a document without marks has none", () => {
  assert.deepEqual(marksOf({}), { stages: [], events: [], doubtful: [], steady: null, knee: null });
});
