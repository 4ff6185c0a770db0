// The page: reads its document, builds the sections once, and shows each new document in them.
//
// Everything that changes is written by `update`, so that the same code draws a final report and a live page: zoom, focus,
// open rows, sorting and switched-off series outlive each new document.

import { axisOf } from "./columns.js";
import { DataTable } from "./datatable.js";
import { DistributionChart } from "./distribution.js";
import { h, icon, ICONS, setText } from "./dom.js";
import { hatchings } from "./figure.js";
import { clock } from "./format.js";
import { Heatmap } from "./heatmap.js";
import { LISTINGS } from "./listings.js";
import { follow } from "./live.js";
import { LoadChart } from "./load.js";
import { marksOf } from "./marks.js";
import { Overview } from "./overview.js";
import { preparePrinting } from "./print.js";
import { requestsTable } from "./requests.js";
import { LiveState, RunInfo } from "./runinfo.js";
import { section } from "./sections.js";
import { timeSpecs } from "./specs.js";
import { applyTheme, nextTheme, rememberedTheme, View } from "./state.js";
import { TimeChart } from "./timechart.js";
import { Timeline } from "./timeline.js";

/** Where charts that are not made by `timeSpecs` stand: after which one. */
const AFTER = { heatmap: "latency", load: "generator", distribution: "load" };

class Page {
  constructor() {
    this.doc = null;
    this.shared = { view: new View(), marks: marksOf({}) };
    this.charts = new Map();
    this.tables = new Map();
    this.main = document.getElementById("main");
    this.overview = new Overview((where) => this.goTo(where));
    this.info = new RunInfo();
    this.liveState = new LiveState();
    this.grid = h("div", { class: "charts" });
    this.help = h(
      "p",
      { class: "quiet help" },
      "Drag over a chart to look closer, double-click or press Escape to see all again.",
    );
    this.nothing = h("p", { class: "quiet" }, "The run ended before a second of load: there is nothing to draw.");
    this.timeline = new Timeline(this.shared);
    this.requests = requestsTable(this);
    this.build();
    this.buildBar();
    preparePrinting(this);
  }

  /** Makes the sections, in the order of the page. */
  build() {
    const { overview, info } = this;
    this.warnings = section("warnings", "Warnings", info.warnings);
    this.main.append(
      hatchings(),
      overview.verdict,
      overview.figuresSection,
      overview.look,
      section("charts", "Charts", this.help, this.nothing, info.gaps, this.timeline.element, this.grid),
      section("requests", "Requests", this.requests.element),
    );
    for (const listing of LISTINGS) this.addTable(listing);
    this.main.append(this.warnings, section("run", "This run", info.facts));
  }

  /** Makes the place of a table; several may share a section. */
  addTable(listing) {
    const table = new DataTable(listing);
    const nothing = h("p", { class: "quiet" });
    const there = document.getElementById(listing.section);
    const box = there
      ? h("div", { class: "sub-block" }, h("h3", {}, listing.title), table.element, nothing)
      : section(listing.section, listing.title, table.element, nothing);
    (there ?? this.main).append(box);
    this.tables.set(listing.id, { listing, table, nothing, box });
  }

  /** The bar at the top: where one is, links to the sections, zoom, freshness, theme. */
  buildBar() {
    const { view } = this.shared;
    this.script = h("span", { class: "bar-script" });
    this.zoomText = h("span");
    this.zoomButton = h(
      "button",
      {
        type: "button",
        class: "zoom-chip",
        hidden: true,
        "data-testid": "zoom-reset",
        title: "Show all of the run (Escape)",
        onclick: () => view.zoom(null),
      },
      this.zoomText,
      icon(ICONS.cross),
      h("span", { class: "unseen" }, " show all"),
    );
    let theme = rememberedTheme();
    const words = h("span");
    const themeButton = h(
      "button",
      {
        type: "button",
        class: "tool theme-toggle",
        "data-testid": "theme-toggle",
        onclick: () => {
          theme = nextTheme(theme);
          applyTheme(theme);
          showTheme();
        },
      },
      icon(ICONS.sun),
      words,
    );
    const showTheme = () => {
      setText(words, { auto: "Auto", light: "Light", dark: "Dark" }[theme]);
      themeButton.setAttribute("aria-label", `Theme: ${theme}. Change`);
    };
    applyTheme(theme);
    showTheme();
    this.links = h("ul");
    document
      .getElementById("bar")
      .append(
        h("a", { class: "brand", href: "#main" }, "loadr"),
        this.script,
        h("nav", { "aria-label": "Sections" }, this.links),
        this.zoomButton,
        this.liveState.element,
        themeButton,
      );
    view.watch("range", () => {
      this.zoomButton.hidden = !view.range;
      if (view.range) setText(this.zoomText, `${clock(Math.round(view.range[0]))}–${clock(Math.round(view.range[1]))}`);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented && !(event.target instanceof HTMLInputElement))
        view.zoom(null);
    });
  }

  /** Shows a document. */
  update(doc) {
    this.doc = doc;
    const axis = axisOf(doc.time);
    this.shared.view.setFull(axis.end, axis.interval);
    this.shared.marks = marksOf(doc);
    this.overview.update(doc);
    document.title = `${this.overview.headline.textContent}: ${doc.run.script} – loadr`;
    setText(this.script, doc.run.script.split("/").at(-1));
    const drawn = doc.live || doc.time.count > 0;
    this.nothing.hidden = drawn;
    for (const element of [this.help, this.timeline.element, this.grid]) element.hidden = !drawn;
    this.timeline.update(doc);
    if (drawn) this.updateCharts(doc);
    this.requests.update(doc.requests);
    for (const { listing, table, nothing, box } of this.tables.values()) {
      const rows = listing.rows(doc);
      box.hidden = !rows || (rows.length === 0 && !listing.none);
      table.element.hidden = !rows || rows.length === 0;
      nothing.hidden = !table.element.hidden;
      setText(nothing, (doc.live && listing.noneYet) || (listing.none ?? ""));
      if (rows) table.update(rows);
    }
    this.warnings.hidden = !this.info.update(doc);
    this.updateLinks();
  }

  /** Makes charts when their data are there for the first time, and gives all of them the new ones. */
  updateCharts(doc) {
    const chart = (name, make) => {
      let it = this.charts.get(name);
      if (!it) {
        it = make();
        this.charts.set(name, it);
        const before = AFTER[name] && this.charts.get(AFTER[name]);
        if (before) before.element.after(it.element);
        else this.grid.append(it.element);
      }
      return it;
    };
    for (const spec of timeSpecs(doc)) {
      const known = this.charts.get(spec.name);
      if (known) known.update(spec);
      else chart(spec.name, () => new TimeChart(spec, this.shared));
    }
    if (doc.heatmap) chart("heatmap", () => new Heatmap(this.shared)).update(doc.heatmap);
    if (doc.series.latency) chart("load", () => new LoadChart(this.shared)).update(doc);
    if (doc.distribution)
      chart("distribution", () => new DistributionChart({ name: "distribution" })).update(
        doc.distribution,
        doc.totals.duration,
      );
  }

  /** Links in the bar to the sections that are shown. */
  updateLinks() {
    const names = [...this.main.querySelectorAll(":scope > section.block:not([hidden])")].map((s) => [
      s.id,
      s.querySelector("h2").textContent,
    ]);
    const signature = names.join();
    if (signature === this.linkSignature) return;
    this.linkSignature = signature;
    this.links.replaceChildren(...names.map(([id, title]) => h("li", {}, h("a", { href: `#${id}` }, title))));
  }

  /** Shows what a piece of advice is about: a chart at its time, a row of a table, a section. */
  goTo(where) {
    if (where.from_s !== null && where.from_s !== undefined) {
      const to = where.to_s ?? this.shared.view.full[1];
      const margin = (to - where.from_s) * 0.15 + this.shared.view.least;
      this.shared.view.zoom([where.from_s - margin, to + margin]);
    }
    const tables = {
      request: this.requests,
      threshold: this.table("thresholds"),
      check: this.table("checks"),
      error: this.table("errors"),
      stage: this.table("stages"),
    };
    const table = tables[where.kind];
    if (table) {
      const row = [...table.lines.keys()].find(
        (key) => key === where.name || key.endsWith(`::${where.name}`) || key.endsWith(` ${where.name}`),
      );
      if (row === undefined || !table.show(row)) table.element.scrollIntoView({ block: "start" });
      return;
    }
    const target =
      this.charts.get(where.name)?.element ?? document.getElementById(where.name) ?? document.getElementById("charts");
    target.scrollIntoView({ block: "center" });
    target.querySelector(".plot")?.focus({ preventScroll: true });
  }

  table(name) {
    return this.tables.get(`${name}-table`).table;
  }
}

/** Starts the page with what is in it, and follows the run if it goes on. */
function main() {
  const doc = JSON.parse(document.getElementById("loadr-data").textContent);
  const page = new Page();
  if (!doc) {
    page.overview.headline.textContent = "No data in this page";
    return;
  }
  page.liveState.update(doc.live ? "connecting" : "final", doc);
  page.update(doc);
  if (!doc.live) return;
  // A page that nobody sees waits with drawing until it is seen again.
  let waiting = null;
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && waiting) page.update(waiting);
    waiting = null;
  });
  follow(
    (next) => {
      if (document.hidden && next.live) waiting = next;
      else page.update(next);
    },
    (state, next) => page.liveState.update(state, next ?? page.doc),
  );
}

main();
