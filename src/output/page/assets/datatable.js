// A table that sorts, filters and opens rows; and keeps all that, and the focus, when its numbers change.

import { h, icon, ICONS, setText } from "./dom.js";
import { count } from "./format.js";

/** So many rows get a field to filter them, where a table does not say otherwise. */
const FILTER_FROM = 15;

/**
 * A column.
 * @typedef {object} Column
 * @property {string} key, label
 * @property {(row: object) => number|string|null} value what sorts, and what programs read
 * @property {(row: object) => string} [text] what people read; without it the value
 * @property {(row: object) => Node} [node]   a drawing instead; made again when `text` or the value changes
 * @property {boolean} [number] to the right, and largest first
 * @property {boolean} [optional] left out as long as no row has a value
 * @property {string} [title] what the heading means
 * @property {(row: object) => string|null} [tone] "bad", "good" or nothing
 */

/** How two values sort; what is unknown comes last either way. */
export function compare(a, b, descending) {
  const [noA, noB] = [a === null || a === undefined, b === null || b === undefined];
  if (noA || noB) return noA - noB;
  const order =
    typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
  return descending ? -order : order;
}

export class DataTable {
  /**
   * @param {object} options
   * @param {string} options.id, options.caption
   * @param {Column[]} options.columns
   * @param {(row: object) => string} options.key what tells rows apart
   * @param {(row: object) => {element: Node, update: (row: object) => void}} [options.expand] what an opened row shows
   * @param {(row: object) => object} [options.attributes] of a row's element
   * @param {number} [options.filterFrom] so many rows get a field to filter them
   */
  constructor(options) {
    Object.assign(this, options);
    this.rows = [];
    this.sort = null;
    this.lines = new Map();
    this.body = h("tbody");
    this.headings = this.columns.map((column) => this.heading(column));
    this.table = h(
      "table",
      { class: "data rows", id: this.id, "data-testid": this.id },
      h("caption", {}, this.caption),
      h("thead", {}, h("tr", {}, this.headings)),
      this.body,
    );
    this.scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": this.caption }, this.table);
    this.filter = h("input", {
      type: "search",
      class: "filter",
      placeholder: "Filter",
      "aria-label": `Filter: ${this.caption}`,
      autocomplete: "off",
      oninput: () => this.arrange(),
    });
    this.found = h("span", { class: "found", role: "status" });
    this.bar = h("div", { class: "table-bar", hidden: true }, this.filter, this.found);
    this.element = h("div", { class: "table-box" }, this.bar, this.scroll);
  }

  heading(column) {
    const button = h(
      "button",
      {
        type: "button",
        class: "sort",
        title: column.title ?? null,
        onclick: () => {
          const descending = this.sort?.key === column.key ? !this.sort.descending : column.number === true;
          this.sort = { key: column.key, descending };
          this.columns.forEach((c, i) =>
            this.headings[i].setAttribute("aria-sort", c !== column ? "none" : descending ? "descending" : "ascending"),
          );
          this.arrange();
        },
      },
      column.label,
      h("span", { class: "arrow", "aria-hidden": "true" }),
    );
    return h(
      "th",
      { scope: "col", "aria-sort": "none", "data-column": column.key, class: column.number ? "number" : null },
      button,
    );
  }

  /** Shows other rows; those that were there before stay open, focused and in place. */
  update(rows) {
    this.rows = rows;
    const alive = new Set();
    const shown = this.columns.map((c) => !c.optional || rows.some((row) => (c.value(row) ?? "") !== ""));
    this.headings.forEach((cell, i) => (cell.hidden = !shown[i]));
    for (const row of rows) {
      const key = this.key(row);
      alive.add(key);
      let line = this.lines.get(key);
      if (!line) this.lines.set(key, (line = this.line(row)));
      line.row = row;
      this.columns.forEach((column, i) => {
        line.cells[i].hidden = !shown[i];
        this.fillCell(line.cells[i], column, row);
      });
      line.detail?.update(row);
    }
    for (const [key, line] of this.lines) {
      if (alive.has(key)) continue;
      line.element.remove();
      line.detailRow?.remove();
      this.lines.delete(key);
    }
    this.bar.hidden = rows.length < (this.filterFrom ?? FILTER_FROM) && this.filter.value === "";
    this.arrange();
  }

  line(row) {
    const cells = this.columns.map((column, i) =>
      h(i === 0 ? "th" : "td", {
        scope: i === 0 ? "row" : null,
        "data-column": column.key,
        class: column.number ? "number" : null,
      }),
    );
    const line = { row, element: h("tr", this.attributes?.(row) ?? {}, cells), cells, written: [] };
    if (this.expand) {
      line.label = h("span");
      line.opener = h(
        "button",
        { type: "button", class: "opener", "aria-expanded": "false", onclick: () => this.toggle(line) },
        icon(ICONS.down, "icon chevron"),
        line.label,
      );
      cells[0].append(line.opener);
    }
    return line;
  }

  fillCell(cell, column, row) {
    const value = column.value(row);
    const raw = value === null || value === undefined ? "" : String(value);
    const text = column.text ? column.text(row) : raw || "–";
    const tone = column.tone?.(row) ?? "";
    if ((cell.dataset.tone ?? "") !== tone) cell.dataset.tone = tone;
    if (cell.dataset.value === raw && cell.dataset.text === text) return;
    cell.dataset.value = raw;
    if (column.node) {
      cell.dataset.text = text;
      cell.replaceChildren(column.node(row));
    } else {
      setText(cell.querySelector(".opener > span") ?? cell, text);
    }
  }

  /** Opens or closes a row. */
  toggle(line, open = line.opener.getAttribute("aria-expanded") !== "true") {
    line.opener.setAttribute("aria-expanded", String(open));
    if (open && !line.detail) {
      line.detail = this.expand(line.row);
      line.detailRow = h("tr", { class: "detail" }, h("td", { colspan: this.columns.length }, line.detail.element));
      line.element.after(line.detailRow);
      line.detail.update(line.row);
    }
    if (line.detailRow) line.detailRow.hidden = !open;
  }

  /** Opens the row with this key and shows it. Answers whether there is one. */
  show(key) {
    const line = this.lines.get(key);
    if (!line) return false;
    this.filter.value = "";
    this.arrange();
    if (line.opener) this.toggle(line, true);
    (line.opener ?? this.scroll).focus({ preventScroll: true });
    line.element.scrollIntoView({ block: "center" });
    return true;
  }

  /** Puts lines in order and hides what the filter leaves out. Lines that are in their place are not touched. */
  arrange() {
    let rows = [...this.rows];
    if (this.sort) {
      const column = this.columns.find((c) => c.key === this.sort.key);
      rows.sort((a, b) => compare(column.value(a), column.value(b), this.sort.descending));
    }
    const wanted = this.filter.value.trim().toLowerCase();
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    let shown = 0;
    let previous = null;
    for (const row of rows) {
      const line = this.lines.get(this.key(row));
      const matches =
        wanted === "" ||
        this.columns.some(
          (c) =>
            !c.number &&
            String(c.text?.(row) ?? c.value(row) ?? "")
              .toLowerCase()
              .includes(wanted),
        );
      line.element.hidden = !matches;
      if (line.detailRow) line.detailRow.hidden = !matches || line.opener.getAttribute("aria-expanded") !== "true";
      shown += matches ? 1 : 0;
      for (const element of [line.element, line.detailRow]) {
        if (!element) continue;
        const place = previous ? previous.nextSibling : this.body.firstChild;
        if (place !== element) this.body.insertBefore(element, place);
        previous = element;
      }
    }
    if (focused && document.activeElement !== focused) focused.focus({ preventScroll: true });
    setText(this.found, wanted === "" ? "" : `${count(shown)} of ${count(rows.length)}`);
  }
}
