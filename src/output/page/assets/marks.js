// What is marked on the time axis: stages, events, the steady part, where the generator was the limit, the knee.

import { svg } from "./dom.js";
import { clock } from "./format.js";

/**
 * Gathers the marks of a document.
 * @returns {{stages: object[], events: object[], doubtful: object[], steady: object|null, knee: object|null}}
 */
export function marksOf(doc) {
  const events = (doc.events ?? []).map((e) => ({ at_s: e.at_s, text: e.text, bad: e.bad === true }));
  const told = new Set(events.map((e) => `${e.at_s} ${e.text}`));
  for (const mark of doc.marks ?? []) {
    if (mark.kind === "control" && !told.has(`${mark.at_s} ${mark.text}`))
      events.push({ at_s: mark.at_s, text: mark.text, bad: false });
  }
  return {
    stages: (doc.marks ?? [])
      .filter((m) => m.kind !== "control")
      .map((m) => ({ at_s: m.at_s, kind: m.kind, scenario: m.scenario, text: m.text })),
    events: events.sort((a, b) => a.at_s - b.at_s),
    doubtful: joined((doc.limits ?? []).flatMap((limit) => limit.spans.map((s) => ({ ...s, texts: [limit.found] })))),
    steady: doc.steady ?? null,
    knee: doc.knee ?? null,
  };
}

/** Spans of time that touch or overlap, put together with all they say. */
export function joined(spans) {
  const result = [];
  for (const span of [...spans].sort((a, b) => a.from_s - b.from_s)) {
    const last = result.at(-1);
    if (last && span.from_s <= last.to_s + 1e-9) {
      last.to_s = Math.max(last.to_s, span.to_s);
      last.texts = [...new Set([...last.texts, ...span.texts])];
    } else {
      result.push({ ...span });
    }
  }
  return result;
}

/** Draws marks behind the data of a chart. `frame` has `x` (the scale of time), `left`, `right`, `top`, `bottom`. */
export function drawMarks(marks, frame, into) {
  const { x, left, right, top, bottom } = frame;
  const inside = (place) => place >= left - 0.5 && place <= right + 0.5;
  for (const { from_s: from, to_s: to } of marks.doubtful) {
    const [a, b] = [Math.max(left, x.at(from)), Math.min(right, x.at(to))];
    if (b > a) into.append(svg("rect", { class: "doubtful", x: a, y: top, width: b - a, height: bottom - top }));
  }
  if (marks.steady) {
    const [a, b] = [Math.max(left, x.at(marks.steady.from_s)), Math.min(right, x.at(marks.steady.to_s))];
    if (b > a) into.append(svg("rect", { class: "steady", x: a, y: top, width: b - a, height: 3 }));
  }
  for (const { at_s: at } of marks.stages) {
    const place = x.at(at);
    if (at > 0 && inside(place))
      into.append(svg("path", { class: "mark stage", d: `M${Math.round(place) + 0.5} ${top}V${bottom}` }));
  }
  if (marks.knee && inside(x.at(marks.knee.at_s))) {
    const place = Math.round(x.at(marks.knee.at_s)) + 0.5;
    into.append(
      svg("path", { class: "mark knee", d: `M${place} ${top}V${bottom}` }),
      svg("path", { class: "knee-head", d: `M${place - 4} ${top - 9}h8l-4 7z` }),
    );
  }
  for (const { at_s: at, bad } of marks.events) {
    const place = Math.round(x.at(at)) + 0.5;
    if (!inside(place)) continue;
    into.append(svg("path", { class: bad ? "mark event bad" : "mark event", d: `M${place} ${top}V${bottom}` }));
    into.append(
      bad
        ? svg("path", { class: "event-head bad", d: `M${place} ${top - 9}l4.5 4.5-4.5 4.5-4.5-4.5z` })
        : svg("circle", { class: "event-head", cx: place, cy: top - 5, r: 3 }),
    );
  }
}

/** What is to be told of a moment: which stages began, what happened, whether its numbers are to be doubted. */
export function notesAt(marks, seconds, reach) {
  const near = (at) => Math.abs(at - seconds) <= reach / 2 + 0.5;
  const notes = [];
  const running = new Map();
  for (const stage of marks.stages) if (stage.at_s <= seconds + 1e-9) running.set(stage.scenario, stage);
  for (const stage of [...running.values()].slice(0, 3)) notes.push({ text: `${stage.scenario}: ${stage.text}` });
  for (const event of marks.events.filter((e) => near(e.at_s)).slice(0, 4))
    notes.push({ text: `${clock(event.at_s)} ${event.text}`, bad: event.bad });
  if (marks.knee && near(marks.knee.at_s))
    notes.push({ text: "from here latency rose while the rate did not", bad: true });
  const doubt = marks.doubtful.find((s) => seconds >= s.from_s && seconds <= s.to_s);
  if (doubt) notes.push({ text: "generator at its limit: doubt these numbers", bad: true });
  return notes;
}
