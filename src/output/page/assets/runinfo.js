// What was run and how, the warnings, and what this page does not know.

import { h, prose, sentence, setText } from "./dom.js";
import { clock, counted, span } from "./format.js";

/** An argument as a shell would need it. */
function quoted(argument) {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

/** The command, as it could be typed again. */
function commandOf(args) {
  const words = /(^|\/)loadr(\.exe)?$/.test(args[0] ?? "") ? args : ["loadr", ...args];
  return words.map(quoted).join(" ");
}

/** A moment of the world, as written everywhere alike: 2026-11-24 12:00:00 UTC. */
function moment(text) {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)/.exec(text ?? "");
  return match ? `${match[1]} ${match[2]} UTC` : String(text ?? "–");
}

/** The facts of a run, as pairs of a word and a value. */
function factsOf(doc) {
  const { run } = doc;
  return [
    ["Script", run.script],
    ["Command", commandOf(run.args ?? [])],
    ["Profile", run.profile],
    ["Started", moment(run.started_at)],
    ["Duration", span(run.duration_s)],
    ["Seed", String(run.seed)],
    ["VUs, at most", String(run.vus_max)],
    ["loadr", run.loadr_version],
    ["Run", run.id],
    ...(run.scenarios ?? []).map((s) => [`Scenario ${s.name}`, `${s.exec}: ${s.description}`]),
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
}

/** What the page lacks, in sentences. */
function gapsOf(doc) {
  const gaps = [];
  if (doc.lost_seconds > 0)
    gaps.push(
      `${counted(doc.lost_seconds, "second")} of the run did not reach this page, because it could not keep up: the charts lack them, the totals do not.`,
    );
  if (doc.percentiles === "worst")
    gaps.push("Made from a summary: where seconds were put together, the worst percentile of them is shown.");
  if (doc.requests_left_out > 0)
    gaps.push(`${counted(doc.requests_left_out, "more name")} of requests had no place in the table.`);
  const missing = [
    ["heatmap", doc.heatmap],
    ["the distribution", doc.distribution],
    ["phases", doc.series.phases],
    ["errors over time", doc.series.errors],
    ["the slowest requests", doc.slowest],
    ["groups", doc.groups],
  ]
    .filter(([, value]) => value === null || value === undefined)
    .map(([name]) => name);
  if (missing.length > 0) gaps.push(`Not known to this page, and left out: ${missing.join(", ")}.`);
  return gaps;
}

export class RunInfo {
  constructor() {
    this.warningList = h("ul", { class: "warnings", "data-testid": "warnings" });
    this.warnings = h("div", {}, this.warningList);
    this.gaps = h("ul", { class: "gaps", "data-testid": "gaps" });
    this.facts = h("dl", { class: "run-facts", "data-testid": "run-info" });
    this.signature = "";
  }

  /** Writes what changed. Answers whether there are warnings. */
  update(doc) {
    const facts = factsOf(doc);
    const gaps = gapsOf(doc);
    const signature = JSON.stringify([facts, gaps, doc.warnings]);
    if (signature !== this.signature) {
      this.signature = signature;
      this.facts.replaceChildren(...facts.map(([word, value]) => h("div", {}, h("dt", {}, word), h("dd", {}, value))));
      this.gaps.replaceChildren(
        ...gaps.map((text, i) => h("li", { class: i === 0 && doc.lost_seconds > 0 ? "grave" : null }, text)),
      );
      this.gaps.hidden = gaps.length === 0;
      this.warningList.replaceChildren(
        ...(doc.warnings ?? []).map((w) =>
          h(
            "li",
            {},
            h("strong", {}, prose(sentence(w.message))),
            w.hint ? h("span", { class: "hint" }, prose(sentence(w.hint))) : null,
          ),
        ),
      );
    }
    return (doc.warnings ?? []).length > 0;
  }
}

/** The line in the bar that says how fresh the page is. */
export class LiveState {
  constructor() {
    this.element = h("span", { class: "live-state", role: "status", "data-testid": "live-state" });
  }

  /** @param {"final"|"live"|"lost"|"connecting"} state */
  update(state, doc) {
    const at = clock(Math.round(doc?.run.duration_s ?? 0));
    const words = {
      final: "Final",
      live: doc?.state === "paused" ? "Paused" : "Live",
      lost: `Connection lost at ${at}`,
      connecting: "Connecting",
    }[state];
    this.element.dataset.state = state;
    setText(this.element, words);
  }
}
