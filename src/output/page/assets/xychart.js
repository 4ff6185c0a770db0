// A chart that is not over time: two scales, points that can be pointed at with mouse, touch and arrow keys.

import { svg } from "./dom.js";
import { Figure } from "./figure.js";
import { margins } from "./timechart.js";

/**
 * The base of such charts. Subclasses give `scales(width, box)` (answers `{x, y, xText, yText, xTitle}`), `paint(into, frame)`,
 * `points()` (places of what can be pointed at, as `[x, y]` values, in an order for the arrow keys), `describe(index)`
 * (`{title, rows, notes}`) and `tableData()`.
 */
export class XYChart extends Figure {
  constructor(options) {
    super(options);
    this.height = options.height ?? 230;
    this.at = -1;
    this.back = svg("g");
    this.front = svg("g");
    this.pointer = svg("g", { class: "pointer" });
    this.paper.append(this.back, this.front, this.pointer);
    this.plot.setAttribute("role", "slider");
    this.plot.setAttribute("aria-valuemin", 0);
    this.plot.setAttribute("aria-describedby", "point-help");
    this.plot.addEventListener("pointermove", (event) => this.pointTo(this.nearestTo(event)));
    this.plot.addEventListener("pointerdown", (event) => this.pointTo(this.nearestTo(event)));
    this.plot.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.pointTo(-1);
    });
    this.plot.addEventListener("blur", () => this.pointTo(-1));
    this.plot.addEventListener("keydown", (event) => {
      const last = this.points().length - 1;
      const step = event.shiftKey ? 10 : 1;
      const next = { ArrowRight: this.at + step, ArrowLeft: this.at < 0 ? last : this.at - step, Home: 0, End: last }[
        event.key
      ];
      if (next === undefined || last < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.pointTo(Math.min(Math.max(next, 0), last));
    });
  }

  draw(width) {
    const margin = margins(width);
    const box = { left: margin.left, right: width - margin.right, top: 14, bottom: 14 + this.height };
    this.sizePaper(width, box.bottom + 42);
    this.back.replaceChildren();
    this.front.replaceChildren();
    this.frame = { ...box, ...this.scales(box) };
    const { x, y, xText, yText, xTitle } = this.frame;
    for (const tick of y.ticks) {
      const place = Math.round(y.at(tick)) + 0.5;
      this.back.append(
        svg("path", { class: tick === y.min ? "axis" : "grid", d: `M${box.left} ${place}H${box.right}` }),
        svg("text", { class: "tick", x: box.left - 8, y: place + 3.5, "text-anchor": "end" }, yText(tick)),
      );
    }
    let free = -Infinity;
    for (const tick of x.ticks) {
      const place = Math.round(x.at(tick)) + 0.5;
      const text = xText(tick);
      this.back.append(svg("path", { class: "grid faint", d: `M${place} ${box.top}V${box.bottom}` }));
      if (place - text.length * 3.4 < free || place > box.right + 1) continue;
      free = place + text.length * 3.4 + 6;
      this.back.append(svg("text", { class: "tick", x: place, y: box.bottom + 17, "text-anchor": "middle" }, text));
    }
    this.back.append(
      svg(
        "text",
        { class: "axis-title", x: (box.left + box.right) / 2, y: box.bottom + 35, "text-anchor": "middle" },
        xTitle,
      ),
    );
    this.paint(this.front, this.frame);
    this.plot.setAttribute("aria-valuemax", Math.max(0, this.points().length - 1));
    this.pointTo(Math.min(this.at, this.points().length - 1));
  }

  /** The point nearest to the mouse; -1 without any near it. */
  nearestTo(event) {
    const box = this.paper.getBoundingClientRect();
    const scale = this.drawnWidth / (box.width || 1);
    const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let [best, least] = [-1, 60 * 60];
    this.points().forEach(([x, y], index) => {
      const distance = (this.frame.x.at(x) - px) ** 2 + (this.frame.y.at(y) - py) ** 2 / 9;
      if (distance < least) [best, least] = [index, distance];
    });
    return best;
  }

  pointTo(index) {
    this.at = index;
    const point = this.points()[index];
    if (!point || !this.frame || this.plot.hidden) {
      this.pointer.replaceChildren();
      this.hideTip();
      return;
    }
    const [x, y] = [this.frame.x.at(point[0]), this.frame.y.at(point[1])];
    this.pointer.replaceChildren(
      svg("path", { class: "cursor", d: `M${x} ${this.frame.top}V${this.frame.bottom}` }),
      svg("circle", { class: "dot ring", cx: x, cy: y, r: 5 }),
    );
    const { title, rows, notes } = this.describe(index);
    this.showTip(x, title, rows, notes);
    this.plot.setAttribute("aria-valuenow", index);
    this.plot.setAttribute("aria-valuetext", `${title}: ${rows.map((r) => `${r.label} ${r.text}`).join(", ")}`);
  }
}
