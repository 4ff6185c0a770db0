// The plan of the run on the time axis: stages as bands, one row a scenario, what happened as signs. It is the key to the
// marks on all other charts, and takes the same gestures.

import { h, svg } from "./dom.js";
import { Figure } from "./figure.js";
import { clipped, clock, counted } from "./format.js";
import { listenTo } from "./gestures.js";
import { drawMarks, notesAt } from "./marks.js";
import { timeScale } from "./scale.js";
import { margins, ticksIn } from "./timechart.js";

/** More scenarios than this share the last row. */
const ROWS = 6;

export class Timeline extends Figure {
  constructor(shared) {
    super({
      name: "timeline",
      title: "Course of the run",
      about: "Stages of the plan, and what happened when. The same lines are on the charts below.",
    });
    this.shared = shared;
    this.content = svg("g");
    this.pointer = svg("g", { class: "pointer" });
    this.selection = svg("rect", { class: "selection", width: 0 });
    this.paper.append(this.content, this.selection, this.pointer);
    this.plot.setAttribute("role", "slider");
    this.plot.setAttribute("aria-describedby", "chart-help");
    this.legend.setAttribute("aria-label", "What the signs mean");
    shared.view.watch("range", () => this.redraw());
    shared.view.watch("cursor", () => this.drawPointer());
    listenTo(this);
  }

  update(doc) {
    this.axis = { count: doc.time.count, interval: doc.time.interval_s, end: this.shared.view.full[1] };
    const { stages, events, steady, knee, doubtful } = this.shared.marks;
    this.rows = [];
    for (const scenario of new Set(stages.map((s) => s.scenario))) {
      const own = stages.filter((s) => s.scenario === scenario).sort((a, b) => a.at_s - b.at_s);
      this.rows.push(
        own
          .map((s, i) => ({ ...s, to_s: own[i + 1]?.at_s ?? this.axis.end }))
          .filter((s) => s.kind !== "end" && s.to_s > s.at_s),
      );
    }
    this.rows = this.rows.filter((r) => r.length > 0);
    this.rows.push(...(this.rows.length > ROWS ? [this.rows.splice(ROWS - 1).flat()] : []));
    const parts = [counted(this.rows.flat().length, "stage"), counted(events.length, "event")];
    if (steady) parts.push(`steady from ${clock(steady.from_s)} to ${clock(steady.to_s)}`);
    if (knee) parts.push(`latency rises from ${clock(knee.at_s)}`);
    if (doubtful.length > 0)
      parts.push(
        `generator at its limit ${doubtful
          .slice(0, 2)
          .map((d) => `${clock(d.from_s)}–${clock(d.to_s)}`)
          .join(", ")}`,
      );
    this.setSummary(`${parts.join("; ")}.`);
    this.setKey([
      [events.some((e) => !e.bad), "event", svg("circle", { class: "event-head", cx: 9, cy: 5, r: 3 })],
      [
        events.some((e) => e.bad),
        "failure",
        svg("path", { class: "event-head bad", d: "M9 .5l4.5 4.5-4.5 4.5-4.5-4.5z" }),
      ],
      [knee, "latency rises, the rate does not", svg("path", { class: "knee-head", d: "M5 1.5h8l-4 7z" })],
      [steady, "steady", svg("rect", { class: "steady", x: 1, y: 3.5, width: 16, height: 3 })],
      [
        doubtful.length > 0,
        "generator at its limit",
        svg("rect", { class: "doubtful key", x: 1, y: 1, width: 16, height: 8 }),
      ],
    ]);
    this.redraw();
  }

  /** Says what the signs mean that occur. */
  setKey(signs) {
    const shown = signs.filter(([there]) => there);
    const signature = shown.map((s) => s[1]).join();
    if (signature === this.keySignature) return;
    this.keySignature = signature;
    this.legend.hidden = shown.length === 0;
    this.legend.replaceChildren(
      ...shown.map(([, label, drawing]) =>
        h(
          "li",
          { class: "heat-key" },
          svg("svg", { class: "swatch", viewBox: "0 0 18 10", "aria-hidden": "true" }, drawing),
          label,
        ),
      ),
    );
  }

  draw(width) {
    const margin = margins(width);
    const [left, right, top] = [margin.left, width - margin.right, 18];
    const rowHeight = 20;
    const bottom = top + Math.max(1, this.rows.length) * rowHeight + 6;
    this.sizePaper(width, bottom + 24);
    const shown = this.shared.view.shown();
    const x = timeScale(shown[0], shown[1], left, right, ticksIn(right - left));
    this.frame = { left, right, top, bottom, x };
    this.content.replaceChildren();
    drawMarks(this.shared.marks, this.frame, this.content);
    this.rows.forEach((row, r) =>
      row.forEach((stage, s) => {
        const [a, b] = [Math.max(left, x.at(stage.at_s)), Math.min(right, x.at(stage.to_s))];
        if (b - a < 0.5) return;
        const y = top + 5 + r * rowHeight;
        this.content.append(
          svg("rect", {
            class: `band band-${s % 2}`,
            x: a + 0.5,
            y,
            width: Math.max(0.5, b - a - 1),
            height: rowHeight - 4,
            rx: 2,
          }),
        );
        const letters = Math.floor((b - a - 10) / 6.2);
        const text = this.rows.length > 1 && s === 0 ? `${stage.scenario}: ${stage.text}` : stage.text;
        if (letters >= 4)
          this.content.append(svg("text", { class: "band-text", x: a + 6, y: y + 12 }, clipped(text, letters)));
      }),
    );
    for (const tick of x.ticks)
      this.content.append(
        svg("text", { class: "tick", x: x.at(tick), y: bottom + 17, "text-anchor": "middle" }, clock(tick)),
      );
    this.plot.setAttribute("aria-valuemin", Math.floor(shown[0]));
    this.plot.setAttribute("aria-valuemax", Math.ceil(shown[1]));
    this.drawPointer();
  }

  drawPointer() {
    const { view, marks } = this.shared;
    const [from, to] = view.shown();
    if (!this.frame || this.plot.hidden || view.cursor === null || view.cursor < from || view.cursor > to) {
      this.pointer.replaceChildren();
      this.hideTip();
      return;
    }
    const x = this.frame.x.at(view.cursor);
    this.pointer.replaceChildren(svg("path", { class: "cursor", d: `M${x} ${this.frame.top}V${this.frame.bottom}` }));
    if (view.owner !== this) {
      this.hideTip();
      return;
    }
    const notes = notesAt(marks, view.cursor, (to - from) / 60);
    this.showTip(x, clock(Math.floor(view.cursor)), [], notes);
    this.plot.setAttribute("aria-valuenow", Math.round(view.cursor));
    this.plot.setAttribute(
      "aria-valuetext",
      `${clock(Math.floor(view.cursor))}: ${notes.map((n) => n.text).join(", ") || "nothing"}`,
    );
  }

  tableData() {
    const { events, knee, doubtful } = this.shared.marks;
    const rows = [
      ...this.rows.flat().map((s) => ({ at: s.at_s, to: s.to_s, kind: "stage", text: `${s.scenario}: ${s.text}` })),
      ...events.map((e) => ({ at: e.at_s, to: null, kind: "event", text: e.text })),
      ...doubtful.map((d) => ({ at: d.from_s, to: d.to_s, kind: "generator at its limit", text: d.texts.join("; ") })),
      ...(knee
        ? [{ at: knee.at_s, to: null, kind: "knee", text: "latency rises from here while the rate does not" }]
        : []),
    ].sort((a, b) => a.at - b.at);
    return {
      caption: "Stages and events of the run",
      columns: [
        ["at_s", "From"],
        ["to_s", "To"],
        ["kind", "Kind"],
        ["text", "What"],
      ].map(([key, label]) => ({ key, label })),
      rows: rows.map((r) => [
        { text: clock(r.at), value: r.at },
        { text: r.to === null ? "" : clock(r.to), value: r.to },
        { text: r.kind, value: r.kind },
        { text: r.text, value: r.text },
      ]),
    };
  }
}
