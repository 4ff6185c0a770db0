// One panel of a time chart: a vertical scale, areas that stack, lines, and labels at their right ends.

import { stacked, extent } from "./columns.js";
import { svg } from "./dom.js";
import { clipped, UNITS } from "./format.js";
import { areaPath, linePath, lonePath } from "./paths.js";
import { linear, logarithmic, spread } from "./scale.js";

/**
 * A series as it is drawn.
 * @typedef {object} Series
 * @property {string} key, label
 * @property {(number|null)[]} values one a column
 * @property {"line"|"area"} kind areas stack, the first on top
 * @property {string} tone  the colour, by what it means
 * @property {string} [dash], [hatch] what tells it apart without colour
 * @property {string} [short] the label at its right end; none with ""
 * @property {(number|null)[]} [counts] the counts that values a second were made of, for the table
 */

/**
 * A panel with the numbers that drawing needs: which series are shown, their edges, the scale.
 * @param {object} panel `{unit, series, log, whole}`
 * @param {Set<string>} hidden keys of series that are switched off
 * @param {[number, number]} columns the columns that are seen
 * @param {{top: number, bottom: number}} box
 */
export function preparePanel(panel, hidden, [first, last], box) {
  const shown = panel.series.filter((s) => s.values && !hidden.has(s.key));
  const areas = shown.filter((s) => s.kind === "area");
  const lines = shown.filter((s) => s.kind !== "area");
  // The first of the list lies on top: legend, values and paper have the same order.
  const edges = stacked(areas.map((s) => s.values).reverse()).reverse();
  const reach = extent([...edges.map((e) => e.upper), ...lines.map((s) => s.values)], first, last);
  const room = Math.max(2, Math.round((box.bottom - box.top) / 44));
  const log = panel.log && areas.length === 0 && reach !== null && reach.high > 0;
  const scale = log
    ? logarithmic(reach.low, reach.high, box.bottom, box.top, room + 1)
    : linear(Math.max(reach?.high ?? 0, panel.atLeast ?? 0), box.bottom, box.top, room, panel.whole);
  return { ...panel, box, areas, lines, edges, scale, empty: reach === null };
}

/** Draws a prepared panel: grid and ticks into `back`, data into `front`. `frame` has `left`, `right`, `xs`, `edge`. */
export function drawPanel(prepared, frame, [first, last], back, front) {
  const { scale, box, unit } = prepared;
  const { left, right, xs, edge } = frame;
  for (const tick of scale.ticks) {
    const y = Math.round(scale.at(tick)) + 0.5;
    if (y < box.top - 1) continue;
    back.append(
      svg("path", { class: tick === scale.min && !prepared.log ? "axis" : "grid", d: `M${left} ${y}H${right}` }),
    );
    back.append(svg("text", { class: "tick", x: left - 8, y: y + 3.5, "text-anchor": "end" }, UNITS[unit].tick(tick)));
  }
  if (prepared.label) back.append(svg("text", { class: "panel-label", x: left, y: box.top - 6 }, prepared.label));
  if (prepared.empty) {
    front.append(
      svg(
        "text",
        { class: "nothing", x: (left + right) / 2, y: (box.top + box.bottom) / 2, "text-anchor": "middle" },
        prepared.nothing ?? "nothing in this time",
      ),
    );
    return;
  }
  const data = svg("g", { "clip-path": `url(#${frame.clip})` });
  front.append(data);
  prepared.areas.forEach((series, i) => {
    const { lower, upper } = prepared.edges[i];
    const d = areaPath(xs, lower, upper, scale.at, first, last, frame.half);
    const group = svg("g", { class: `tone-${series.tone}` }, svg("path", { class: "area", d }));
    if (series.hatch) group.append(svg("path", { d, fill: `url(#hatch-${series.hatch})` }));
    // No edge where there is nothing: a line of its colour would say there is.
    group.append(
      svg("path", {
        class: "area-edge",
        d: linePath(
          xs,
          upper.map((v, at) => (series.values[at] > 0 ? v : null)),
          scale.at,
          first,
          last,
        ),
      }),
    );
    data.append(group);
  });
  for (const series of prepared.lines) {
    const d = linePath(xs, series.values, scale.at, first, last);
    data.append(svg("path", { class: `line tone-${series.tone} ${series.dash ? `dash-${series.dash}` : ""}`, d }));
    const lone = lonePath(xs, series.values, scale.at, first, last);
    if (lone) data.append(svg("path", { class: `lone tone-${series.tone}`, d: lone }));
  }
  drawLabels(prepared, edge, right, front);
}

/** Labels at the right ends, apart from each other, so that no series is known by its colour alone. */
function drawLabels(prepared, edge, right, front) {
  const { scale, box } = prepared;
  const labels = [];
  const lastKnown = (values) => {
    for (let i = edge; i >= Math.max(0, edge - 20); i -= 1) if (values[i] !== null && values[i] !== undefined) return i;
    return -1;
  };
  prepared.areas.forEach((series, i) => {
    const { lower, upper } = prepared.edges[i];
    const at = lastKnown(series.values);
    const [top, bottom] = at < 0 ? [0, 0] : [scale.at(upper[at]), scale.at(lower[at])];
    if (bottom - top >= 9) labels.push({ series, y: (top + bottom) / 2 });
  });
  for (const series of prepared.lines) {
    const at = lastKnown(series.values);
    if (at >= 0) labels.push({ series, y: scale.at(series.values[at]) });
  }
  const seen = labels.filter(({ series }) => series.short !== "" && prepared.areas.length + prepared.lines.length > 1);
  if (seen.length * 12 > box.bottom - box.top + 14) return;
  const places = spread(
    seen.map((l) => l.y),
    12,
    box.top + 2,
    box.bottom,
  );
  seen.forEach(({ series }, i) => {
    front.append(
      svg(
        "text",
        { class: `direct tone-${series.tone}`, x: right + 6, y: places[i] + 3.5 },
        clipped(series.short ?? series.label, 10),
      ),
    );
  });
}
