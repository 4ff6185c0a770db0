// The heatmap of latency: time to the right, latency upwards on a log scale, darker where more requests were. It shows
// what percentiles hide: two peaks, a band of timeouts, a slow minority.

import { axisOf, sum, visibleColumns } from "./columns.js";
import { h, svg } from "./dom.js";
import { Figure } from "./figure.js";
import { brief, clock, count, latency, UNITS } from "./format.js";
import { listenTo } from "./gestures.js";
import { drawMarks, notesAt } from "./marks.js";
import { boxPath } from "./paths.js";
import { logTicks, nearest, timeScale } from "./scale.js";
import { sayHeatmap } from "./sentences.js";
import { margins, ticksIn } from "./timechart.js";

/** Shades, from few to many; steps follow the logarithm, so that a handful of slow requests is seen beside thousands. */
const HEAT_SHADES = 8;

/** The shade of a count among counts of at most `most`. */
export function shadeOf(n, most) {
  if (n >= most) return HEAT_SHADES - 1;
  return Math.floor((Math.log(n) / Math.log(most)) ** 1.5 * (HEAT_SHADES - 1));
}

/** The buckets that hold anything, first and last. */
export function usedBuckets(cells) {
  let [first, last] = [Infinity, -1];
  for (const column of cells) {
    for (let i = 0; i < column.length; i += 2) {
      first = Math.min(first, column[i]);
      last = Math.max(last, column[i]);
    }
  }
  return last < 0 ? null : [first, last];
}

export class Heatmap extends Figure {
  constructor(shared) {
    super({
      name: "heatmap",
      title: "Heatmap of latency",
      about: "Each box counts the requests of one moment that took about so long.",
    });
    this.shared = shared;
    this.back = svg("g");
    this.boxes = svg("g");
    this.front = svg("g");
    this.pointer = svg("g", { class: "pointer" });
    this.selection = svg("rect", { class: "selection", width: 0 });
    this.clip = svg("rect");
    this.boxes.setAttribute("clip-path", `url(#${this.uid}-clip)`);
    this.paper.append(
      svg("defs", {}, svg("clipPath", { id: `${this.uid}-clip` }, this.clip)),
      this.back,
      this.boxes,
      this.front,
      this.selection,
      this.pointer,
    );
    this.plot.setAttribute("role", "slider");
    this.plot.setAttribute("aria-describedby", "chart-help");
    this.plot.addEventListener("pointermove", (event) => {
      this.pointerY = event.clientY;
    });
    shared.view.watch("range", () => this.redraw());
    shared.view.watch("cursor", () => this.drawPointer());
    listenTo(this);
  }

  update(heatmap) {
    this.map = heatmap;
    this.axis = axisOf({ ...heatmap, last_s: heatmap.last_s ?? heatmap.interval_s });
    this.used = usedBuckets(heatmap.cells);
    this.most = 1;
    for (const column of heatmap.cells)
      for (let i = 1; i < column.length; i += 2) if (column[i] > this.most) this.most = column[i];
    this.setSummary(sayHeatmap(heatmap));
    this.legend.hidden = false;
    const keys = Array.from({ length: HEAT_SHADES }, (_, shade) =>
      svg("rect", { class: `heat-${shade}`, x: shade * 14, y: 0, width: 14, height: 10 }),
    );
    this.legend.replaceChildren(
      h(
        "li",
        { class: "heat-key" },
        "1",
        svg(
          "svg",
          { viewBox: `0 0 ${HEAT_SHADES * 14} 10`, width: HEAT_SHADES * 14, height: 10, "aria-hidden": "true" },
          keys,
        ),
        this.most === 1 ? "request" : `${brief(this.most)} requests`,
      ),
    );
    this.redraw();
  }

  /** The buckets that are drawn: those in use, and a few around them where they are few. */
  seenBuckets() {
    const end = this.map.bounds_ms.length - 2;
    const [low, high] = this.used ?? [0, end];
    const more = Math.max(0, Math.ceil((12 - (high - low + 1)) / 2));
    return [Math.max(0, low - more), Math.min(end, high + more)];
  }

  draw(width) {
    const { view, marks } = this.shared;
    const margin = margins(width);
    const [left, right, top] = [margin.left, width - margin.right, 14];
    const bottom = top + (width < 460 ? 150 : 172);
    const shown = view.shown();
    const { bounds_ms: bounds, cells } = this.map;
    const [low, high] = this.seenBuckets();
    const buckets = high - low + 1;
    const x = timeScale(shown[0], shown[1], left, right, ticksIn(right - left));
    // Bounds are log spaced, so that buckets are of equal height.
    const y = (edge) => bottom - ((edge - low) / buckets) * (bottom - top);
    this.sizePaper(width, bottom + 24);
    for (const [name, value] of Object.entries({ x: left, y: 0, width: Math.max(0, right - left), height: bottom }))
      this.clip.setAttribute(name, value);
    const columns = visibleColumns(this.axis, shown);
    this.frame = { left, right, top, bottom, x, y, low, high, columns, xs: this.axis.centres.map(x.at) };
    this.back.replaceChildren();
    this.front.replaceChildren();
    for (const tick of x.ticks)
      this.back.append(
        svg("text", { class: "tick", x: x.at(tick), y: bottom + 17, "text-anchor": "middle" }, clock(tick)),
      );
    const [from, to] = [Math.log(bounds[low]), Math.log(bounds[high + 1])];
    for (const tick of logTicks(bounds[low], bounds[high + 1], 5)) {
      const place = Math.round(bottom - ((Math.log(tick) - from) / (to - from)) * (bottom - top)) + 0.5;
      this.back.append(
        svg("path", { class: "grid", d: `M${left} ${place}H${right}` }),
        svg("text", { class: "tick", x: left - 8, y: place + 3.5, "text-anchor": "end" }, UNITS.ms.tick(tick)),
      );
    }
    const paths = new Array(HEAT_SHADES).fill("");
    for (let i = columns[0]; i <= columns[1]; i += 1) {
      const [a, b] = [x.at(i * this.axis.interval), x.at((i + 1) * this.axis.interval)];
      for (let c = 0; c < (cells[i]?.length ?? 0); c += 2)
        paths[shadeOf(cells[i][c + 1], this.most)] += boxPath(
          a,
          y(cells[i][c] + 1),
          b - a + 0.3,
          y(cells[i][c]) - y(cells[i][c] + 1) + 0.3,
        );
    }
    this.boxes.replaceChildren(...paths.map((d, shade) => svg("path", { class: `heat-${shade}`, d })));
    drawMarks({ ...marks, doubtful: [], steady: null }, this.frame, this.front);
    this.plot.setAttribute("aria-valuemin", Math.floor(shown[0]));
    this.plot.setAttribute("aria-valuemax", Math.ceil(shown[1]));
    this.drawPointer();
  }

  drawPointer() {
    const { view, marks } = this.shared;
    const [from, to] = view.shown();
    const column =
      view.cursor === null || !this.frame || this.axis.count === 0 ? -1 : nearest(this.axis.centres, view.cursor);
    if (column < 0 || this.plot.hidden || view.cursor < from || view.cursor > to) {
      this.pointer.replaceChildren();
      this.hideTip();
      return;
    }
    const x = Math.min(Math.max(this.frame.x.at(view.cursor), this.frame.left), this.frame.right);
    this.pointer.replaceChildren(svg("path", { class: "cursor", d: `M${x} ${this.frame.top}V${this.frame.bottom}` }));
    if (view.owner !== this) {
      this.hideTip();
      return;
    }
    const cells = this.map.cells[column] ?? [];
    const bounds = this.map.bounds_ms;
    const pairs = [];
    for (let i = 0; i < cells.length; i += 2) pairs.push([cells[i], cells[i + 1]]);
    pairs.sort((a, b) => b[0] - a[0]);
    const own = this.pointedBucket();
    const chosen = [...pairs]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 5)
      .map((p) => p[0]);
    const rows = pairs
      .filter(([bucket]) => chosen.includes(bucket) || bucket === own)
      .map(([bucket, n]) => ({
        label: `${latency(bounds[bucket])} – ${latency(bounds[bucket + 1])}`,
        text: `${bucket === own ? "▸ " : ""}${count(n)}`,
      }));
    const moment = clock(column * this.axis.interval);
    this.showTip(
      x,
      `${moment}, ${count(sum(pairs.map((p) => p[1])))} requests`,
      rows,
      notesAt(marks, this.axis.centres[column], this.axis.interval),
    );
    this.plot.setAttribute("aria-valuenow", Math.round(this.axis.centres[column]));
    this.plot.setAttribute(
      "aria-valuetext",
      `${moment}: ${rows.map((r) => `${r.text} took ${r.label}`).join(", ") || "no requests"}`,
    );
  }

  /** The bucket under the mouse; -1 for none. */
  pointedBucket() {
    if (this.pointerY === undefined) return -1;
    const box = this.paper.getBoundingClientRect();
    const place = ((this.pointerY - box.top) / (box.width || 1)) * this.drawnWidth;
    const { top, bottom, low, high } = this.frame;
    return place < top || place > bottom
      ? -1
      : low + Math.floor(((bottom - place) / (bottom - top)) * (high - low + 1));
  }

  tableData() {
    const [low, high] = this.used ?? [0, -1];
    const bounds = this.map.bounds_ms;
    const buckets = Array.from({ length: high - low + 1 }, (_, i) => low + i);
    return {
      caption: `${this.title}: how many requests took so long, a row is ${count(this.axis.interval)} s`,
      columns: [
        { key: "at_s", label: "Time" },
        ...buckets.map((b) => ({ key: `bucket_${b}`, label: `to ${latency(bounds[b + 1])}` })),
      ],
      rows: this.map.cells.map((cells, i) => {
        const row = buckets.map(() => ({ text: "", value: 0 }));
        for (let c = 0; c < cells.length; c += 2)
          row[cells[c] - low] = { text: count(cells[c + 1]), value: cells[c + 1] };
        return [{ text: clock(i * this.axis.interval), value: i * this.axis.interval }, ...row];
      }),
    };
  }
}
