// Latency against load: a dot for each column of the run, so that a knee (more load, and only the waiting grows) is seen.

import { axisOf, median, perSecond, sums } from "./columns.js";
import { svg } from "./dom.js";
import { clock, latency, rate, share, UNITS } from "./format.js";
import { crossPath, dotPath, linePath } from "./paths.js";
import { linear, logarithmic } from "./scale.js";
import { sayLoad } from "./sentences.js";
import { XYChart } from "./xychart.js";

/** Shades of time, early to late. */
const SHADES = 5;
/** A column with more than this share of failures is drawn as a cross. */
const FAILING = 0.01;
/** Stretches of load of which the middle is drawn as a line. */
const BINS = 14;

/** The scatter of p95 against requests a second, or against virtual users. */
export class LoadChart extends XYChart {
  constructor(shared) {
    super({
      name: "load",
      title: "Latency against load",
      about:
        "Each dot is one moment of the run: how much load there was, and how slow the slowest 5 % were. Later moments have the fuller colour.",
    });
    this.shared = shared;
    this.against = "rate";
    this.log = false;
    this.addSwitch("Log scale", false, (on) => {
      this.log = on;
    });
    this.addSwitch("Against VUs", false, (on) => {
      this.against = on ? "vus" : "rate";
    });
    shared.view.watch("range", () => this.redraw());
    this.dots = [];
  }

  update(doc) {
    const axis = axisOf(doc.time);
    const all = sums([doc.series.requests_ok, doc.series.requests_failed]);
    const rates = perSecond(all, axis);
    this.doc = doc;
    this.axis = axis;
    this.dots = axis.centres
      .map((at, i) => ({
        at,
        start: i * axis.interval,
        rate: rates[i],
        vus: doc.series.vus?.[i] ?? null,
        p95: doc.series.latency.p95[i],
        failed: all[i] ? (doc.series.requests_failed[i] ?? 0) / all[i] : 0,
      }))
      .filter((dot) => dot.p95 !== null && dot.rate !== null);
    this.setSummary(sayLoad(doc));
    this.setLegend([]);
    this.redraw();
  }

  /** The dots within the window of time. */
  seen() {
    const { range } = this.shared.view;
    return range ? this.dots.filter((d) => d.at >= range[0] && d.at <= range[1]) : this.dots;
  }

  scales(box) {
    const dots = this.seen();
    const most = (key) => Math.max(0, ...dots.map((d) => d[key] ?? 0));
    const low = Math.min(...dots.map((d) => d.p95).filter((v) => v > 0), most("p95") || 1);
    const vus = this.against === "vus";
    return {
      x: linear(most(this.against), box.left, box.right, Math.max(2, Math.round((box.right - box.left) / 110)), vus),
      y:
        this.log && most("p95") > 0
          ? logarithmic(low, most("p95"), box.bottom, box.top, 5)
          : linear(most("p95"), box.bottom, box.top, 4),
      xText: vus ? UNITS.count.tick : UNITS.rate.tick,
      yText: UNITS.ms.tick,
      xTitle: vus ? "virtual users → p95 of latency" : "requests a second → p95 of latency",
    };
  }

  paint(into, { x, y, top, bottom }) {
    const dots = this.seen();
    const place = (d) => [x.at(d[this.against] ?? 0), y.at(d.p95)];
    for (let shade = 0; shade < SHADES; shade += 1) {
      const own = dots.filter((_, i) => Math.min(SHADES - 1, Math.floor((i / dots.length) * SHADES)) === shade);
      into.append(
        svg("path", { class: `cloud shade-${shade}`, d: dotPath(own.filter((d) => d.failed <= FAILING).map(place)) }),
        svg("path", { class: "crosses", d: crossPath(own.filter((d) => d.failed > FAILING).map(place)) }),
      );
    }
    this.paintMiddle(into, dots, x, y);
    const { knee } = this.doc;
    if (knee) {
      const at = Math.round(x.at(knee[this.against])) + 0.5;
      into.append(
        svg("path", { class: "mark knee", d: `M${at} ${top}V${bottom}` }),
        svg("text", { class: "mark-label", x: at - 5, y: top + 10, "text-anchor": "end" }, `knee, ${clock(knee.at_s)}`),
      );
    }
    if (dots.length === 0)
      into.append(
        svg(
          "text",
          { class: "nothing", x: (x.at(0) + x.at(x.max)) / 2, y: (top + bottom) / 2, "text-anchor": "middle" },
          "nothing in this time",
        ),
      );
  }

  /** A line through the middle values of stretches of load. */
  paintMiddle(into, dots, x, y) {
    const bins = Array.from({ length: BINS }, () => []);
    for (const dot of dots) bins[Math.min(BINS - 1, Math.floor(((dot[this.against] ?? 0) / x.max) * BINS))].push(dot);
    const full = bins.filter((bin) => bin.length >= 3);
    if (full.length < 3) return;
    const xs = full.map((bin) => x.at(median(bin.map((d) => d[this.against]))));
    into.append(
      svg("path", {
        class: "line wide middle",
        d: linePath(
          xs,
          full.map((bin) => median(bin.map((d) => d.p95))),
          y.at,
          0,
          full.length - 1,
        ),
      }),
    );
  }

  points() {
    return this.seen().map((d) => [d[this.against] ?? 0, d.p95]);
  }

  describe(index) {
    const dot = this.seen()[index];
    return {
      title: clock(dot.start),
      notes: [],
      rows: [
        { label: "requests", text: rate(dot.rate) },
        { label: "VUs", text: UNITS.count.value(dot.vus) },
        { label: "p95", text: latency(dot.p95) },
        { label: "failed", text: share(dot.failed) },
      ],
    };
  }

  tableData() {
    return {
      caption: `${this.title}: a row is ${UNITS.count.value(this.axis.interval)} s`,
      columns: [
        ["at_s", "Time"],
        ["rate", "Requests a second"],
        ["vus", "VUs"],
        ["p95", "p95"],
        ["failed", "Failed"],
      ].map(([key, label]) => ({ key, label })),
      rows: this.seen().map((d) => [
        { text: clock(d.start), value: d.start },
        { text: rate(d.rate), value: d.rate },
        { text: UNITS.count.value(d.vus), value: d.vus },
        { text: latency(d.p95), value: d.p95 },
        { text: share(d.failed), value: d.failed },
      ]),
    };
  }
}
