// Which charts over time there are, and what they show of a document. A chart whose data are not known is left out.

import { axisOf, phasePerRequest } from "./columns.js";
import { generatorSpec } from "./generator.js";
import {
  sayBytes,
  sayChecks,
  sayErrors,
  sayIterations,
  sayLatency,
  sayPhases,
  sayRequestLatency,
  sayRequests,
  sayVus,
} from "./sentences.js";
import { ERROR_STYLES, FAILED, OK, PERCENTILES, perSecondSeries, PHASES } from "./styles.js";

function requestsSpec(doc, axis) {
  const { series } = doc;
  return {
    name: "requests",
    title: "Requests a second",
    summary: sayRequests(doc, axis),
    about: "How many requests ended in each second. What failed is hatched, at the bottom.",
    panels: [
      {
        unit: "rate",
        series: [perSecondSeries(OK, series.requests_ok, axis), perSecondSeries(FAILED, series.requests_failed, axis)],
      },
    ],
  };
}

function latencySpec(doc, axis) {
  const { latency, latency_intended: intended } = doc.series;
  if (!latency) return null;
  const series = PERCENTILES.filter((p) => latency[p.key]).map((p) => ({ ...p, values: latency[p.key] }));
  for (const key of ["p95", "p99"]) {
    if (intended?.[key])
      series.push({
        key: `intended_${key}`,
        label: `${key} from when it was due`,
        short: `${key} due`,
        tone: "quiet",
        dash: key === "p95" ? "short" : "dashdot",
        values: intended[key],
        hidden: true,
      });
  }
  return {
    name: "latency",
    title: "Latency",
    log: true,
    summary: sayLatency(doc, axis),
    about:
      "p95 is the time within which 95 of 100 requests were answered. The higher the percentile, the rarer and slower.",
    panels: [{ unit: "ms", falling: true, series }],
  };
}

function vusSpec(doc, axis) {
  const { vus, vus_target: target } = doc.series;
  if (!vus) return null;
  return {
    name: "vus",
    title: "Virtual users",
    summary: sayVus(doc, axis),
    about:
      "How many virtual users were at work, and how many the plan asked for. For open load these are as many as may be needed.",
    panels: [
      {
        unit: "count",
        whole: true,
        atLeast: 1,
        series: [
          { key: "vus", label: "VUs", tone: "c1", values: vus },
          {
            key: "vus_target",
            label: "planned",
            tone: "quiet",
            dash: "dashed",
            values: target ?? null,
            hidden: Boolean(doc.series.rate_target),
          },
        ],
      },
    ],
  };
}

function iterationsSpec(doc, axis) {
  const { iterations, iterations_failed: failed, iterations_dropped: dropped, rate_target: target } = doc.series;
  if (!iterations) return null;
  const fine = failed ? iterations.map((n, i) => (n === null ? null : Math.max(0, n - (failed[i] ?? 0)))) : iterations;
  return {
    name: "iterations",
    title: "Iterations a second",
    summary: sayIterations(doc),
    about: "How often journeys were run through. Dropped ones were due, but no virtual user was free.",
    panels: [
      {
        unit: "rate",
        series: [
          perSecondSeries({ key: "ok", label: "completed", tone: "c1", kind: "area" }, fine, axis),
          perSecondSeries(FAILED, failed ?? null, axis),
          perSecondSeries(
            { key: "dropped", label: "dropped", tone: "c2", kind: "area", hatch: "dots" },
            dropped ?? null,
            axis,
          ),
          { key: "rate_target", label: "planned", tone: "quiet", dash: "dashed", values: target ?? null },
        ],
      },
    ],
  };
}

function errorsSpec(doc, axis) {
  const { errors } = doc.series;
  if (!errors) return null;
  return {
    name: "errors",
    title: "Errors by kind",
    summary: sayErrors(doc),
    about: "Failures a second by what went wrong, the most frequent on top.",
    panels: [
      {
        unit: "rate",
        atLeast: 1,
        nothing: "no errors",
        series: errors.kinds.map((kind, i) =>
          perSecondSeries(
            {
              key: `error_${i}`,
              label: kind.message,
              tone: ERROR_STYLES[i % 8][0],
              hatch: ERROR_STYLES[i % 8][1],
              kind: "area",
            },
            errors.counts[i],
            axis,
          ),
        ),
      },
    ],
  };
}

function bytesSpec(doc, axis) {
  const { bytes_received: received, bytes_sent: sent } = doc.series;
  if (!received) return null;
  return {
    name: "bytes",
    title: "Bytes",
    summary: sayBytes(doc, axis),
    about: "What went over the network in each direction, HTTP's own headers included.",
    panels: [
      {
        unit: "byterate",
        series: [
          perSecondSeries({ key: "received", label: "received", tone: "c1" }, received, axis),
          perSecondSeries({ key: "sent", label: "sent", tone: "c2", dash: "dashed" }, sent ?? null, axis),
        ],
      },
    ],
  };
}

function checksSpec(doc, axis) {
  const { checks_ok: ok, checks_failed: failed } = doc.series;
  if (!ok || doc.checks.length === 0) return null;
  return {
    name: "checks",
    title: "Checks a second",
    summary: sayChecks(doc),
    about: "What the script checked of the answers.",
    panels: [
      {
        unit: "rate",
        series: [
          perSecondSeries({ ...OK, label: "held" }, ok, axis),
          perSecondSeries({ ...FAILED, label: "did not hold" }, failed, axis),
        ],
      },
    ],
  };
}

function phasesSpec(doc, axis) {
  const { phases, requests_ok: ok, requests_failed: failed, connections_opened: opened } = doc.series;
  if (!phases) return null;
  const requests = ok.map((n, i) => (n ?? 0) + (failed?.[i] ?? 0));
  const panels = [
    {
      unit: "ms",
      height: 240,
      series: PHASES.map((phase) => ({ ...phase, kind: "area", values: phasePerRequest(phases[phase.key], requests) })),
    },
  ];
  if (opened) {
    panels.push({
      unit: "rate",
      label: "connections opened",
      height: 44,
      series: [
        perSecondSeries(
          { key: "connections_opened", label: "connections opened", short: "", tone: "quiet" },
          opened,
          axis,
        ),
      ],
    });
  }
  return {
    name: "phases",
    title: "Where the time goes",
    summary: sayPhases(doc),
    about:
      "The phases of a request on average, on top of each other. Connecting counts for all requests, although kept connections spare most of them.",
    panels,
    extra: PHASES.map((phase) => ({
      key: `${phase.key}_p95`,
      label: `${phase.label}, p95`,
      unit: "ms",
      values: phases[phase.key]?.p95 ?? null,
    })),
  };
}

const MAKERS = [
  requestsSpec,
  latencySpec,
  vusSpec,
  iterationsSpec,
  errorsSpec,
  checksSpec,
  bytesSpec,
  phasesSpec,
  generatorSpec,
];

/** The specs of all charts over time that a document has data for, in the order of the page. */
export function timeSpecs(doc) {
  const axis = axisOf(doc.time);
  return MAKERS.map((make) => make(doc, axis))
    .filter(Boolean)
    .map((spec) => ({ ...spec, time: doc.time }));
}

/** The specs of a single request's charts; none when its course was not kept. */
export function requestSpecs(request, id) {
  const { series } = request;
  if (!series) return [];
  const axis = axisOf(series);
  const time = series;
  return [
    {
      name: `${id}-requests`,
      title: "Requests a second",
      time,
      summary: sayRequests(
        { series, totals: { requests: request.count, requests_failed: request.failed, requests_per_s: request.rate } },
        axis,
      ),
      panels: [
        {
          unit: "rate",
          height: 110,
          series: [
            perSecondSeries(OK, series.requests_ok, axis),
            perSecondSeries(FAILED, series.requests_failed, axis),
          ],
        },
      ],
    },
    {
      name: `${id}-latency`,
      title: "Latency",
      time,
      log: true,
      summary: sayRequestLatency(request),
      panels: [
        {
          unit: "ms",
          falling: true,
          height: 110,
          series: PERCENTILES.filter((p) => series[p.key]).map((p) => ({ ...p, values: series[p.key] })),
        },
      ],
    },
  ];
}
