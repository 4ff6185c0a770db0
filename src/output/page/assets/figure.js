// The frame that all charts share: heading, a sentence that says what is seen, legend, the paper, and the view as a table.

import { h, icon, ICONS, setText, svg } from "./dom.js";

let figures = 0;

/** What a chart is drawn on. Subclasses give `draw()` and `tableData()`. */
export class Figure {
  /**
   * @param {object} options
   * @param {string} options.name   the name of the chart, unique on the page
   * @param {string} options.title  its heading
   * @param {number} [options.level] the level of its heading
   * @param {string} [options.about] how to read it, for the curious
   */
  constructor({ name, title, level = 3, about }) {
    figures += 1;
    this.name = name;
    this.title = title;
    this.uid = `f${figures}`;
    this.drawnWidth = 0;
    this.hidden = new Set();
    this.knownSeries = new Set();
    this.summary = h("p", { class: "chart-summary", id: `${this.uid}-summary` });
    this.legend = h("ul", { class: "legend", "aria-label": `Series of ${title}` });
    this.tools = h("div", { class: "chart-tools" });
    this.paper = svg("svg", { class: "paper", "aria-hidden": "true", focusable: "false" });
    this.tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    this.plot = h("div", { class: "plot", tabindex: "0" }, this.paper, this.tip);
    this.tableButton = h(
      "button",
      {
        type: "button",
        class: "tool",
        "aria-expanded": "false",
        "aria-controls": `${this.uid}-table`,
        "data-testid": `table-button-${name}`,
        onclick: () => this.toggleTable(),
      },
      icon(ICONS.table),
      h("span", {}, "Table"),
      h("span", { class: "unseen" }, ` of ${title}`),
    );
    this.tableView = h("div", {
      class: "table-view",
      id: `${this.uid}-table`,
      hidden: true,
      tabindex: "0",
      role: "region",
      "aria-label": `${title}, as a table`,
    });
    this.tools.append(this.tableButton);
    this.element = h(
      "section",
      { class: "chart", id: `chart-${name}`, "data-testid": `chart-${name}`, "aria-labelledby": `${this.uid}-title` },
      h(
        "div",
        { class: "chart-head" },
        h(`h${level}`, { id: `${this.uid}-title`, class: "chart-title", title: about ?? null }, title),
        this.tools,
      ),
      this.summary,
      this.legend,
      this.plot,
      this.tableView,
    );
    this.rowsOfTable = new Map();
    // A chart that is not on the page yet, or in a closed row, has no width and waits for one.
    new ResizeObserver(() => {
      const width = Math.round(this.plot.clientWidth);
      if (width > 0 && width !== this.drawnWidth && !document.body.classList.contains("printing")) this.redraw();
    }).observe(this.plot);
  }

  /** Draws, if there is somewhere to draw. `width` fixes the width, for paper. */
  redraw(width) {
    const wide = width ?? Math.round(this.plot.clientWidth);
    if (wide > 0) {
      this.drawnWidth = wide;
      this.draw(wide);
    }
    if (!this.tableView.hidden) this.fillTable();
  }

  /** Sizes the paper, in pixels. It scales with the page when printed. */
  sizePaper(width, height) {
    this.paper.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.plot.style.setProperty("aspect-ratio", `${width} / ${height}`);
  }

  /** The sentence below the heading, computed from the data. */
  setSummary(text) {
    setText(this.summary, text);
    this.plot.setAttribute("aria-label", `${this.title}. ${text}`);
  }

  /** A button among the tools that is on or off. */
  addSwitch(label, on, change) {
    const button = h(
      "button",
      {
        type: "button",
        class: "tool",
        "aria-pressed": String(on),
        onclick: () => {
          const now = button.getAttribute("aria-pressed") !== "true";
          button.setAttribute("aria-pressed", String(now));
          change(now);
          this.redraw();
        },
      },
      label,
      h("span", { class: "unseen" }, `, ${this.title}`),
    );
    this.tools.prepend(button);
    return button;
  }

  /** Shows which series there are; each can be switched off, as long as one stays. */
  setLegend(series) {
    const signature = series.map((s) => `${s.key}\u0000${s.label}`).join("\u0001");
    for (const each of series) {
      if (!this.knownSeries.has(each.key) && each.hidden) this.hidden.add(each.key);
      this.knownSeries.add(each.key);
    }
    if (signature !== this.legendSignature) {
      this.legendSignature = signature;
      this.legend.replaceChildren(
        ...series.map((each) =>
          h(
            "li",
            {},
            h(
              "button",
              {
                type: "button",
                class: "legend-item",
                "data-series": each.key,
                "aria-pressed": String(!this.hidden.has(each.key)),
                onclick: (event) => this.toggleSeries(each.key, series.length, event.currentTarget),
              },
              swatch(each),
              h("span", { class: "legend-label" }, each.label),
            ),
          ),
        ),
      );
      this.legend.hidden = series.length < 2;
    }
  }

  toggleSeries(key, count, button) {
    if (this.hidden.has(key)) this.hidden.delete(key);
    else if (this.hidden.size < count - 1) this.hidden.add(key);
    button.setAttribute("aria-pressed", String(!this.hidden.has(key)));
    this.redraw();
  }

  /** Shows values beside a place on the paper. */
  showTip(x, title, rows, notes = []) {
    this.tip.replaceChildren(
      h("strong", {}, title),
      h(
        "dl",
        {},
        rows.map((row) =>
          h("div", {}, h("dt", {}, row.series ? swatch(row.series) : null, row.label), h("dd", {}, row.text)),
        ),
      ),
      ...notes.map((note) => h("p", { class: note.bad ? "tip-note bad" : "tip-note" }, note.text)),
    );
    this.tip.hidden = false;
    const scale = this.plot.clientWidth / (this.drawnWidth || 1);
    const room = this.plot.clientWidth;
    const wide = this.tip.offsetWidth;
    const right = x * scale + 14;
    const left = right + wide > room ? Math.max(0, x * scale - wide - 14) : right;
    this.tip.style.setProperty("transform", `translate(${Math.round(left)}px, 0)`);
  }

  hideTip() {
    this.tip.hidden = true;
  }

  toggleTable() {
    const open = this.tableView.hidden;
    this.tableView.hidden = !open;
    this.plot.hidden = open;
    this.element.classList.toggle("as-table", open);
    this.tableButton.setAttribute("aria-expanded", String(open));
    this.tableButton.replaceChild(icon(open ? ICONS.chart : ICONS.table), this.tableButton.firstChild);
    setText(this.tableButton.children[1], open ? "Chart" : "Table");
    if (open) this.fillTable();
    else this.redraw();
  }

  /** Writes the table; cells that are there are kept, so that a live page keeps its place and selection. */
  fillTable() {
    const { caption, columns, rows } = this.tableData();
    const signature = columns.map((c) => c.key + c.label).join("\u0001");
    if (signature !== this.tableSignature) {
      this.tableSignature = signature;
      this.tableCaption = h("caption", {});
      this.tableBody = h("tbody", {});
      this.tableView.replaceChildren(
        h(
          "table",
          { class: "data", "data-testid": `table-${this.name}` },
          this.tableCaption,
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              columns.map((c) => h("th", { scope: "col", "data-column": c.key }, c.label)),
            ),
          ),
          this.tableBody,
        ),
      );
    }
    setText(this.tableCaption, caption);
    const body = this.tableBody;
    while (body.rows.length > rows.length) body.lastChild.remove();
    rows.forEach((row, index) => {
      let line = body.rows[index];
      if (!line) {
        line = h(
          "tr",
          {},
          columns.map((c, i) => h(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : null, "data-column": c.key })),
        );
        body.append(line);
      }
      row.forEach((cell, i) => fillCell(line.cells[i], cell));
    });
  }
}

/** Writes a cell: its text for people, its raw number for programs. */
function fillCell(element, { text, value, count }) {
  setText(element, text);
  const raw = value === null || value === undefined ? "" : String(value);
  if (element.dataset.value !== raw) element.dataset.value = raw;
  if (count !== undefined && count !== null) element.dataset.count = String(count);
}

/** A small sample of how a series is drawn: colour, and dashes or hatching. */
export function swatch(series) {
  const shape =
    series.kind === "area"
      ? svg("rect", { x: 1, y: 1, width: 16, height: 8, rx: 1.5, class: "area" })
      : svg("path", { d: "M1 5H17", class: `line ${series.dash ? `dash-${series.dash}` : ""}` });
  const over =
    series.kind === "area" && series.hatch
      ? svg("rect", { x: 1, y: 1, width: 16, height: 8, rx: 1.5, fill: `url(#hatch-${series.hatch})` })
      : null;
  return svg("svg", { class: `swatch tone-${series.tone}`, viewBox: "0 0 18 10", "aria-hidden": "true" }, shape, over);
}

/** The hatchings that tell areas apart without colour; once a page. */
export function hatchings() {
  const tile = (id, d) =>
    svg(
      "pattern",
      { id: `hatch-${id}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" },
      svg("path", { d, class: "hatch" }),
    );
  return svg(
    "svg",
    { class: "unseen", width: 0, height: 0, "aria-hidden": "true" },
    svg(
      "defs",
      {},
      tile("rising", "M-1 1l2-2M0 6l6-6M5 7l2-2"),
      tile("falling", "M-1 5l2 2M0 0l6 6M5-1l2 2"),
      tile("dots", "M1.5 1.5h0M4.5 4.5h0"),
      tile("level", "M0 3h6"),
      tile("upright", "M3 0v6"),
      tile("grid", "M0 3h6M3 0v6"),
    ),
  );
}
