// A chart over time: panels on the time axis that all such charts share, marks of the run, cursor and zoom.

import { axisOf, visibleColumns } from "./columns.js";
import { svg } from "./dom.js";
import { Figure } from "./figure.js";
import { clock, UNITS } from "./format.js";
import { listenTo } from "./gestures.js";
import { drawMarks, notesAt } from "./marks.js";
import { drawPanel, preparePanel } from "./panel.js";
import { nearest, timeScale } from "./scale.js";

/** Room around the paper of a time chart: the same for all, so that moments lie above each other. */
export function margins(width) {
  return width < 460 ? { left: 50, right: 52 } : { left: 60, right: 62 };
}

/** How many ticks of time there is room for. */
export function ticksIn(width) {
  return Math.max(2, Math.round(width / (width < 400 ? 58 : 90)));
}

/**
 * A chart over time.
 *
 * What it shows is a spec: `{name, title, about, summary, time, panels: [{label, unit, series, height, atLeast, whole}],
 * log (the switch: true or false is how it begins), extra: table columns that are not drawn}`.
 */
export class TimeChart extends Figure {
  /**
   * @param {object} spec
   * @param {object} shared `{view, marks}`: the window of time, and what is marked in it
   */
  constructor(spec, shared, level) {
    super({ ...spec, level });
    this.shared = shared;
    this.log = spec.log === true;
    if (spec.log !== undefined)
      this.addSwitch("Log scale", this.log, (on) => {
        this.log = on;
      });
    this.back = svg("g");
    this.front = svg("g");
    this.pointer = svg("g", { class: "pointer" });
    this.selection = svg("rect", { class: "selection", y: 0, width: 0, height: 0 });
    this.clip = svg("rect");
    this.paper.append(
      svg("defs", {}, svg("clipPath", { id: `${this.uid}-clip` }, this.clip)),
      this.back,
      this.front,
      this.selection,
      this.pointer,
    );
    this.plot.setAttribute("role", "slider");
    this.plot.setAttribute("aria-orientation", "horizontal");
    this.plot.setAttribute("aria-describedby", "chart-help");
    this.unwatch = [
      shared.view.watch("range", () => this.redraw()),
      shared.view.watch("cursor", () => this.drawPointer()),
    ];
    listenTo(this);
    this.update(spec);
  }

  /** Shows other data; zoom, switches and the open table stay. */
  update(spec) {
    this.spec = spec;
    this.axis = axisOf(spec.time);
    this.setSummary(spec.summary);
    this.setLegend(this.allSeries());
    this.redraw();
  }

  /** Ends a chart that is taken off the page. */
  close() {
    for (const stop of this.unwatch) stop();
  }

  allSeries() {
    return this.spec.panels.flatMap((panel) => panel.series).filter((s) => s.values);
  }

  draw(width) {
    const { view, marks } = this.shared;
    const { left, right } = margins(width);
    const shown = view.shown();
    const columns = visibleColumns(this.axis, shown);
    const panels = [];
    let y = 14;
    for (const panel of this.spec.panels) {
      const height = panel.height ?? (width < 460 ? 150 : 172);
      if (panel.label) y += 14;
      panels.push(preparePanel({ ...panel, log: this.log }, this.hidden, columns, { top: y, bottom: y + height }));
      y += height + 14;
    }
    const bottom = y - 14;
    const height = bottom + 24;
    this.sizePaper(width, height);
    const x = timeScale(shown[0], shown[1], left, width - right, ticksIn(width - left - right));
    this.frame = {
      left,
      right: width - right,
      top: 14,
      bottom,
      x,
      columns,
      xs: this.axis.centres.map(x.at),
      half: Math.max(1, (x.at(this.axis.interval) - x.at(0)) / 2),
      clip: `${this.uid}-clip`,
    };
    // Labels stand beside the last column that is seen; the last of a run, which may be short, is passed over.
    this.frame.edge =
      shown[1] >= this.axis.end - 1e-6
        ? this.axis.count - 1
        : Math.min(columns[1], Math.floor(shown[1] / this.axis.interval));
    this.panels = panels;
    for (const [name, value] of Object.entries({ x: left, y: 0, width: Math.max(0, width - left - right), height }))
      this.clip.setAttribute(name, value);
    this.back.replaceChildren();
    this.front.replaceChildren();
    drawMarks(marks, this.frame, this.back);
    for (const tick of x.ticks) {
      const at = Math.round(x.at(tick)) + 0.5;
      this.back.append(
        svg("path", { class: "grid faint", d: `M${at} 14V${bottom}` }),
        svg("text", { class: "tick", x: at, y: bottom + 17, "text-anchor": "middle" }, clock(tick)),
      );
    }
    for (const panel of panels) drawPanel(panel, this.frame, columns, this.back, this.front);
    this.plot.setAttribute("aria-valuemin", Math.floor(shown[0]));
    this.plot.setAttribute("aria-valuemax", Math.ceil(shown[1]));
    this.drawPointer();
  }

  /** The column that the cursor is on; -1 for none. */
  pointed() {
    const { cursor } = this.shared.view;
    if (cursor === null || !this.frame || this.axis.count === 0) return -1;
    return nearest(this.axis.centres, cursor);
  }

  /** Draws the cursor, and the values if this is the chart that is pointed at. */
  drawPointer() {
    const column = this.pointed();
    const [from, to] = this.shared.view.shown();
    if (
      column < 0 ||
      this.plot.hidden ||
      this.shared.view.cursor < from - 1e-9 ||
      this.shared.view.cursor > to + 1e-9
    ) {
      this.pointer.replaceChildren();
      this.hideTip();
      return;
    }
    const { frame } = this;
    const x = Math.min(Math.max(frame.xs[column], frame.left), frame.right);
    const parts = [svg("path", { class: "cursor", d: `M${x} ${frame.top}V${frame.bottom}` })];
    const rows = [];
    for (const panel of this.panels) {
      const mark = (series, y) => parts.push(svg("circle", { class: `dot tone-${series.tone}`, cx: x, cy: y, r: 3 }));
      const row = (series) => ({ series, label: series.label, text: UNITS[panel.unit].value(series.values[column]) });
      panel.lines.forEach((series) => {
        if (series.values[column] !== null && series.values[column] !== undefined)
          mark(series, panel.scale.at(series.values[column]));
      });
      rows.push(...panel.areas.map(row), ...(panel.falling ? [...panel.lines].reverse() : panel.lines).map(row));
    }
    this.pointer.replaceChildren(...parts);
    if (this.shared.view.owner !== this) {
      this.hideTip();
      return;
    }
    const moment = clock(Math.round(column * this.axis.interval * 10) / 10);
    const notes = notesAt(
      this.shared.marks,
      this.axis.centres[column],
      Math.max(this.axis.interval, (to - from) / 150),
    );
    this.showTip(x, moment, rows, notes);
    this.plot.setAttribute("aria-valuenow", Math.round(this.axis.centres[column]));
    this.plot.setAttribute(
      "aria-valuetext",
      `${moment}: ${rows.map((r) => `${r.label} ${r.text}`).join(", ")}${notes.map((n) => `. ${n.text}`).join("")}`,
    );
  }

  tableData() {
    const series = [
      ...this.spec.panels.flatMap((panel) => panel.series.map((s) => ({ ...s, unit: panel.unit }))),
      ...(this.spec.extra ?? []),
    ].filter((s) => s.values);
    const [from, to] = this.shared.view.shown();
    const rows = [];
    for (let i = 0; i < this.axis.count; i += 1) {
      const start = i * this.axis.interval;
      if (this.shared.view.range && (start + this.axis.interval <= from || start >= to)) continue;
      rows.push([
        { text: clock(start), value: start },
        ...series.map((s) => ({ text: UNITS[s.unit].value(s.values[i]), value: s.values[i], count: s.counts?.[i] })),
      ]);
    }
    const part = this.shared.view.range ? `, from ${clock(from)} to ${clock(to)}` : "";
    return {
      caption: `${this.title}${part}: a row is ${UNITS.count.value(this.axis.interval)} s`,
      columns: [{ key: "at_s", label: "Time" }, ...series.map((s) => ({ key: s.key, label: s.label }))],
      rows,
    };
  }
}
