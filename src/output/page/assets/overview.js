// The top of the page: the verdict in plain words, what limits, what to fix first, and the key figures.

import { peak } from "./columns.js";
import { h, icon, ICONS, prose, sentence, setText } from "./dom.js";
import { brief, clock, count, counted, latency, rate, share, span } from "./format.js";

/** How a verdict looks: its colour, its sign, and words in case the document has none. */
export function verdictOf(doc) {
  const { verdict, live } = doc;
  if (live || verdict.passed === null) {
    const words = { starting: "Starting", paused: "Paused", stopping: "Stopping" }[doc.state] ?? "Running";
    const missed = doc.thresholds.filter((t) => t.ok === false).length;
    return {
      tone: "running",
      icon: ICONS.clock,
      headline: verdict.headline || words,
      note: missed > 0 ? `${counted(missed, "threshold")} missed so far` : null,
    };
  }
  if (verdict.inconclusive) return { tone: "unsure", icon: ICONS.bang, headline: verdict.headline || "Inconclusive" };
  if (!verdict.passed) return { tone: "failed", icon: ICONS.cross, headline: verdict.headline || "Failed" };
  return { tone: "passed", icon: ICONS.tick, headline: verdict.headline || "Passed" };
}

/** The sign in the tab of the browser: a disc in the colour of the verdict, with its sign. */
const SIGNS = {
  running: ["#2455c3", "M5 8a3 3 0 1 1 6 0a3 3 0 1 1-6 0"],
  passed: ["#1d7a4c", ICONS.tick],
  failed: ["#bf2f1b", ICONS.cross],
  unsure: ["#b87a00", ICONS.bang],
};

/** Shows the verdict in the tab, for whoever has many open. */
function signTab(tone) {
  const [colour, path] = SIGNS[tone];
  const stroke = `fill='none' stroke='white' stroke-width='2.2' stroke-linecap='round' stroke-linejoin='round'`;
  const drawing = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='8' fill='${colour}'/><path d='${path}' ${stroke} transform='translate(2 2) scale(.75)'/></svg>`;
  document.querySelector("link[rel=icon]").href = `data:image/svg+xml,${encodeURIComponent(drawing)}`;
}

/** A list that is written anew only when its words change, so that a live page leaves focus and selection alone. */
class Words {
  constructor(element, write) {
    Object.assign(this, { element, write, signature: null });
  }

  update(items) {
    const signature = JSON.stringify(items);
    if (signature === this.signature) return;
    this.signature = signature;
    this.element.replaceChildren(...items.map(this.write));
    this.element.hidden = items.length === 0;
  }
}

export class Overview {
  /** @param {(where: object) => void} goTo shows what a piece of advice is about */
  constructor(goTo) {
    this.sign = h("span", { class: "verdict-sign" });
    this.headline = h("h1", { id: "verdict-title" });
    this.note = h("p", { class: "verdict-note" });
    this.reasons = new Words(h("ul", { class: "reasons" }), (text) =>
      h("li", {}, h("span", {}, prose(sentence(text)))),
    );
    this.cautions = new Words(h("ul", { class: "cautions", "aria-label": "Why to doubt the numbers" }), (text) =>
      h("li", {}, icon(ICONS.bang), h("span", {}, prose(sentence(text)))),
    );
    this.verdict = h(
      "section",
      { id: "verdict", class: "verdict", "data-testid": "verdict", "aria-labelledby": "verdict-title" },
      this.sign,
      h("div", { class: "verdict-words" }, this.headline, this.note, this.reasons.element, this.cautions.element),
    );

    this.limits = new Words(h("ul", { class: "limits" }), (limit) =>
      h(
        "li",
        {},
        h("strong", {}, prose(sentence(limit.found).slice(0, -1))),
        ` for ${counted(limit.seconds, "second")}`,
        limit.spans.length > 0
          ? `, ${limit.spans
              .slice(0, 3)
              .map((s) => `${clock(s.from_s)}–${clock(s.to_s)}`)
              .join(", ")}${limit.spans.length > 3 ? " …" : ""}`
          : "",
        ". ",
        prose(sentence(limit.remedy)),
      ),
    );
    this.noLimits = h("p", { class: "quiet" });
    this.advice = new Words(h("ol", { class: "advice", "data-testid": "advice" }), (item) =>
      h(
        "li",
        { class: `advice-${item.level}` },
        h("strong", {}, prose(sentence(item.title).replace(/\.$/, ""))),
        h("p", {}, prose(item.text)),
        item.where
          ? h(
              "button",
              { type: "button", class: "show-me", onclick: () => goTo(item.where) },
              "Show me",
              h("span", { class: "unseen" }, `: ${item.title}`),
            )
          : null,
      ),
    );
    this.noAdvice = h("p", { class: "quiet" }, "");
    this.look = h(
      "div",
      { class: "look" },
      h(
        "section",
        { id: "advice", "aria-labelledby": "advice-title" },
        h("h2", { id: "advice-title" }, "What to fix first"),
        this.advice.element,
        this.noAdvice,
      ),
      h(
        "section",
        { id: "limits", "aria-labelledby": "limits-title", "data-testid": "limits" },
        h("h2", { id: "limits-title" }, "What limits"),
        this.limits.element,
        this.noLimits,
      ),
    );

    this.figures = new Map();
    this.tiles = h("dl", { class: "figures", "data-testid": "figures" });
    this.steadyNote = h("p", { class: "steady-note", "data-testid": "steady" });
    this.figuresSection = h(
      "section",
      { id: "figures", "aria-labelledby": "figures-title" },
      h("h2", { id: "figures-title", class: "unseen" }, "Key figures"),
      this.tiles,
      this.steadyNote,
    );
  }

  update(doc) {
    const look = verdictOf(doc);
    this.verdict.dataset.tone = look.tone;
    this.verdict.dataset.passed = String(doc.verdict.passed);
    if (this.lastTone !== look.tone) {
      this.sign.replaceChildren(icon(look.icon));
      signTab(look.tone);
    }
    this.lastTone = look.tone;
    setText(this.headline, look.headline);
    setText(this.note, [look.note, runNote(doc)].filter(Boolean).join(" · "));
    this.reasons.update(doc.verdict.reasons);
    this.cautions.update(doc.verdict.cautions);
    this.limits.update(doc.limits ?? []);
    this.noLimits.hidden = (doc.limits ?? []).length > 0;
    setText(this.noLimits, limitNote(doc));
    this.advice.update(doc.advice ?? []);
    this.noAdvice.hidden = (doc.advice ?? []).length > 0;
    setText(this.noAdvice, doc.live ? "Nothing stands out so far." : "Nothing stands out.");
    this.updateFigures(doc);
  }

  updateFigures(doc) {
    const { totals: t, steady: s, run } = doc;
    const stats = (of, key) => of?.duration?.[key] ?? null;
    const vus = peak(doc.series.vus)?.value ?? t.vus_max;
    const failed = t.requests > 0 ? t.requests_failed / t.requests : null;
    // On a tile: name, label, raw value, its text, the text of the steady part, what it means.
    const tiles = [
      ["requests", "Requests", t.requests, brief(t.requests), s && brief(s.requests)],
      ["rate", "Rate", t.requests_per_s, rate(t.requests_per_s), s && rate(s.rate)],
      [
        "failed",
        "Failed",
        t.requests_failed,
        share(failed),
        s && share(s.failed_share),
        t.requests_failed > 0 ? count(t.requests_failed) : null,
      ],
      ["p50", "p50 (median)", stats(t, "med"), latency(stats(t, "med")), s && latency(stats(s, "med"))],
      ["p95", "p95", stats(t, "p95"), latency(stats(t, "p95")), s && latency(stats(s, "p95"))],
      ["p99", "p99", stats(t, "p99"), latency(stats(t, "p99")), s && latency(stats(s, "p99"))],
      ["vus", "VUs, most", vus, count(vus), s && s.level, doc.live ? `now ${count(t.vus)}` : null],
      ["duration", "Duration", run.duration_s, span(run.duration_s), s && span(s.to_s - s.from_s)],
    ];
    for (const [name, label, value, text, steady, beside] of tiles) {
      let tile = this.figures.get(name);
      if (!tile) {
        tile = {
          value: h("dd", { class: "figure-value", "data-testid": `figure-${name}` }),
          steady: h("dd", { class: "figure-steady" }),
        };
        this.tiles.append(h("div", { class: "figure" }, h("dt", {}, label), tile.value, tile.steady));
        this.figures.set(name, tile);
      }
      setText(tile.value, text);
      tile.value.dataset.value = value === null || value === undefined ? "" : String(value);
      tile.value.classList.toggle("bad", name === "failed" && value > 0);
      setText(tile.steady, steady ? `steady: ${steady}` : (beside ?? ""));
    }
    this.steadyNote.hidden = !s;
    if (s)
      setText(
        this.steadyNote,
        `Steady is the plateau of the plan by itself, without ramp-up and drain: ${s.level}, from ${clock(s.from_s)} to ${clock(s.to_s)}.`,
      );
  }
}

/** What was run, in a line. */
function runNote(doc) {
  const { run, live } = doc;
  const planned = live && run.planned_s ? ` of ${span(run.planned_s)}` : "";
  return [run.script, run.profile ? `profile ${run.profile}` : null, `${span(run.duration_s)}${planned}`]
    .filter(Boolean)
    .join(" · ");
}

/** What limits, when the generator did not. */
function limitNote(doc) {
  const { knee } = doc;
  const own = doc.live ? "The generator keeps up so far" : "The generator kept up: it did not limit the result";
  if (doc.time.count === 0) return "Nothing was measured.";
  if (knee)
    return `The target: from ${clock(knee.at_s)} on (${rate(knee.rate)}, ${counted(knee.vus, "VU")}) latency rose while the rate did not. ${own}.`;
  return `${own}, and no point of saturation was found.`;
}
