// Mouse, touch and keys on charts over time: pointing, zooming by dragging, stepping by arrows.

/** Moves less than this, in pixels, are clicks and not drags. */
const SLOP = 6;

/** The moment at a place of the window, in seconds, and that place on the chart's paper. */
function momentAt(chart, clientX) {
  const box = chart.paper.getBoundingClientRect();
  const x = ((clientX - box.left) / (box.width || 1)) * chart.drawnWidth;
  const { left, right, x: scale } = chart.frame;
  return {
    x: Math.min(Math.max(x, left), right),
    seconds: scale.back(Math.min(Math.max(x, left), right)),
    inside: x >= left - 4 && x <= right + 4,
  };
}

/**
 * Listens to what people do on a chart, and moves the window and the cursor that all charts share. The chart has
 * `plot`, `paper`, `selection`, `frame`, `axis`, `drawnWidth` and `shared.view`.
 */
export function listenTo(chart) {
  const { plot, selection } = chart;
  const { view } = chart.shared;
  let drag = null;

  const showSelection = (from, to) => {
    selection.setAttribute("x", Math.min(from, to));
    selection.setAttribute("width", Math.abs(to - from));
    selection.setAttribute("y", chart.frame.top);
    selection.setAttribute("height", chart.frame.bottom - chart.frame.top);
  };
  const endDrag = () => {
    drag = null;
    selection.setAttribute("width", 0);
  };

  plot.addEventListener("pointerdown", (event) => {
    if (!chart.frame || event.button !== 0) return;
    const at = momentAt(chart, event.clientX);
    if (!at.inside) return;
    drag = { id: event.pointerId, from: at, moved: false };
    view.point(at.seconds, chart);
  });
  plot.addEventListener("pointermove", (event) => {
    if (!chart.frame) return;
    const at = momentAt(chart, event.clientX);
    if (drag?.id === event.pointerId) {
      if (Math.abs(at.x - drag.from.x) > SLOP && !drag.moved) {
        drag.moved = true;
        plot.setPointerCapture(event.pointerId);
      }
      if (drag.moved) showSelection(drag.from.x, at.x);
    }
    view.point(at.inside || drag ? at.seconds : null, chart);
  });
  plot.addEventListener("pointerup", (event) => {
    if (drag?.id !== event.pointerId) return;
    const { from, moved } = drag;
    const at = momentAt(chart, event.clientX);
    endDrag();
    if (moved) view.zoom([from.seconds, at.seconds]);
  });
  // A finger that scrolls the page takes the pointer away; what was pointed at by touch stays, to be read.
  plot.addEventListener("pointercancel", endDrag);
  plot.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !drag && document.activeElement !== plot) view.point(null, chart);
  });
  plot.addEventListener("dblclick", () => view.zoom(null));
  plot.addEventListener("blur", () => view.point(null, chart));
  plot.addEventListener("keydown", (event) => {
    if (chart.frame && pressed(chart, view, event)) event.preventDefault();
  });
}

/** What a key does. Answers whether it did something. */
function pressed(chart, view, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || chart.axis.count === 0) return false;
  const [from, to] = view.shown();
  const step = chart.axis.interval * (event.shiftKey ? 10 : 1);
  const ownCursor = view.cursor !== null && view.cursor >= from && view.cursor <= to ? view.cursor : null;
  const go = (seconds) => {
    const at = Math.min(Math.max(seconds, 0), chart.axis.end);
    // The window follows the cursor out of its edge.
    if (view.range && (at < from || at > to))
      view.zoom([from + (at < from ? at - from : at - to), to + (at < from ? at - from : at - to)]);
    view.point(at, chart);
    return true;
  };
  switch (event.key) {
    case "ArrowRight":
      return go(ownCursor === null ? from + chart.axis.interval / 2 : ownCursor + step);
    case "ArrowLeft":
      return go(ownCursor === null ? to - chart.axis.interval / 2 : ownCursor - step);
    case "PageUp":
      return go((ownCursor ?? from) + (to - from) / 10);
    case "PageDown":
      return go((ownCursor ?? to) - (to - from) / 10);
    case "Home":
      return go(from + chart.axis.interval / 2);
    case "End":
      return go(to - chart.axis.interval / 2);
    case "+":
    case "=":
      view.zoomBy(0.5, ownCursor);
      return true;
    case "-":
    case "_":
      view.zoomBy(2, ownCursor);
      return true;
    case "0":
      view.zoom(null);
      return true;
    // Escape is for the whole page (main.js): it gives up the zoom wherever the focus is.
    default:
      return false;
  }
}
