// The page on paper: charts at a fixed width, everything that is folded opened, and all as before afterwards.

/** Pixels that a chart is drawn at for paper: about the width of a column on A4. */
const WIDTH = 520;

/** Everything with a drawing of its own. */
function figuresOf(page) {
  const open = [...page.requests.lines.values()].flatMap((line) =>
    line.detail ? [...line.detail.charts, line.detail.distribution] : [],
  );
  return [page.timeline, ...page.charts.values(), ...open].filter(Boolean);
}

/** Listens for printing. */
export function preparePrinting(page) {
  const start = () => {
    document.body.classList.add("printing");
    for (const figure of figuresOf(page)) figure.redraw(figure === page.timeline ? 2 * WIDTH : WIDTH);
  };
  const end = () => {
    document.body.classList.remove("printing");
    for (const figure of figuresOf(page)) figure.redraw();
  };
  window.addEventListener("beforeprint", start);
  window.addEventListener("afterprint", end);
}
