// The distribution of latency: percentiles by nines to the right, so that the rare and slow get as much room as the rest.

import { extent } from "./columns.js";
import { svg } from "./dom.js";
import { latency, plain, UNITS } from "./format.js";
import { linePath } from "./paths.js";
import { linear, logarithmic, ninesScale } from "./scale.js";
import { sayDistribution } from "./sentences.js";
import { XYChart } from "./xychart.js";

/** Where the axis ends: beyond four nines only very long runs have anything. */
const LAST = 99.99;

/** The chart of a `distribution` (of the run, or of a request against the run's). */
export class DistributionChart extends XYChart {
  constructor(options) {
    super({
      about: "Read it so: at 99 % stands the time within which 99 of 100 requests were answered.",
      title: "Distribution of latency",
      ...options,
    });
    this.log = true;
    this.addSwitch("Log scale", true, (on) => {
      this.log = on;
    });
  }

  /**
   * @param {object} distribution `{percentiles, duration, duration_intended}`
   * @param {object|null} stats of the same latencies
   * @param {object|null} whole the run's distribution, to compare with
   */
  update(distribution, stats, whole = null) {
    this.distribution = distribution;
    this.series = [
      {
        key: "duration",
        label: whole ? "this request" : "latency",
        tone: "c1",
        percentiles: distribution.percentiles,
        values: distribution.duration,
      },
      {
        key: "intended",
        label: "from when it was due",
        tone: "c2",
        dash: "dashed",
        percentiles: distribution.percentiles,
        values: distribution.duration_intended ?? null,
      },
      {
        key: "whole",
        label: "all requests",
        tone: "quiet",
        dash: "short",
        percentiles: whole?.percentiles,
        values: whole?.duration ?? null,
      },
    ].filter((s) => s.values);
    this.setSummary(sayDistribution(stats));
    this.setLegend(this.series);
    this.redraw();
  }

  /** The percentile that lies at the right end: the last of the data below 100 and not beyond four nines. */
  last() {
    const known = this.distribution.percentiles.filter((p) => p < 100);
    return Math.min(LAST, Math.max(90, known.at(-1) ?? 90));
  }

  scales(box) {
    const shown = this.series.filter((s) => !this.hidden.has(s.key));
    const last = this.last();
    const values = shown.map((s) => s.values.filter((_, i) => s.percentiles[i] <= last));
    const found = values.map((v) => extent([v], 0, v.length - 1)).filter(Boolean);
    const high = Math.max(0, ...found.map((r) => r.high));
    const low = Math.min(...found.map((r) => r.low).filter((v) => v > 0), high || 1);
    return {
      x: ninesScale(last, box.left, box.right),
      y: this.log && high > 0 ? logarithmic(low, high, box.bottom, box.top, 5) : linear(high, box.bottom, box.top, 4),
      xText: (p) => `${plain(p, 6)} %`,
      yText: UNITS.ms.tick,
      xTitle: "this share of requests took at most …",
    };
  }

  paint(into, { x, y }) {
    const last = this.last();
    for (const series of this.series.filter((s) => !this.hidden.has(s.key))) {
      const end = series.percentiles.findLastIndex((p) => p <= last);
      const xs = series.percentiles.map((p) => x.at(p));
      into.append(
        svg("path", {
          class: `line wide tone-${series.tone} ${series.dash ? `dash-${series.dash}` : ""}`,
          d: linePath(xs, series.values, y.at, 0, end),
        }),
      );
    }
  }

  points() {
    if (!this.distribution) return [];
    const last = this.last();
    return this.distribution.percentiles.filter((p) => p <= last).map((p, i) => [p, this.distribution.duration[i]]);
  }

  describe(index) {
    const p = this.distribution.percentiles[index];
    const rows = this.series
      .filter((s) => s.key !== "whole")
      .map((s) => ({ series: s, label: s.label, text: latency(s.values[index]) }));
    return {
      title: `p${plain(p, 6)}`,
      rows,
      notes: p > 0 && p < 100 ? [{ text: `1 of ${plain(1 / (1 - p / 100), 3)} took longer` }] : [],
    };
  }

  tableData() {
    const own = this.series.filter((s) => s.key !== "whole");
    return {
      caption: `${this.title}: within which time a share of the requests was answered`,
      columns: [{ key: "percentile", label: "Percentile" }, ...own.map((s) => ({ key: s.key, label: s.label }))],
      rows: this.distribution.percentiles.map((p, i) => [
        { text: p === 100 ? "slowest" : `p${plain(p, 6)}`, value: p },
        ...own.map((s) => ({ text: latency(s.values[i]), value: s.values[i] })),
      ]),
    };
  }
}
