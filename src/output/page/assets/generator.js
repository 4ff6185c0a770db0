// The chart of the generator's health: several panels, because what they show has no scale in common.

import { sayGenerator } from "./sentences.js";
import { perSecondSeries } from "./styles.js";

/** The spec of the chart; null when nothing of it was measured. */
export function generatorSpec(doc, axis) {
  const g = doc.series.generator;
  if (!g) return null;
  const panel = (label, unit, series, more) => ({ label, unit, series, height: 44, ...more });
  const panels = [
    panel(
      "CPU",
      "percent",
      [
        {
          key: "cpu_percent",
          label: "loadr's CPU (100 % is one core)",
          short: "loadr",
          tone: "c1",
          values: g.cpu_percent,
        },
        {
          key: "machine_cpu_percent",
          label: "machine's CPU (100 % is all cores)",
          short: "machine",
          tone: "c2",
          dash: "dashed",
          values: g.machine_cpu_percent,
        },
      ],
      { height: 64 },
    ),
    panel("event loop lag", "ms", [
      { key: "lag_ms", label: "event loop lag", short: "", tone: "c6", values: g.lag_ms },
    ]),
    panel("memory", "bytes", [{ key: "memory_bytes", label: "memory", short: "", tone: "c3", values: g.memory_bytes }]),
    panel(
      "open files",
      "count",
      [{ key: "open_files", label: "open files", short: "", tone: "c4", values: g.open_files }],
      { whole: true },
    ),
    panel(
      "iterations dropped, late",
      "rate",
      [
        perSecondSeries(
          { key: "dropped", label: "dropped iterations", short: "dropped", tone: "bad" },
          g.dropped,
          axis,
        ),
        perSecondSeries(
          { key: "late", label: "late iterations", short: "late", tone: "c2", dash: "dashed" },
          g.late,
          axis,
        ),
      ],
      { atLeast: 1 },
    ),
  ].filter((p) => p.series.some((s) => s.values));
  if (panels.length === 0) return null;
  return {
    name: "generator",
    title: "Health of the generator",
    summary: sayGenerator(doc),
    panels,
    about: "Whether loadr and its machine kept up. Where they did not, latencies include loadr's own waiting.",
  };
}
