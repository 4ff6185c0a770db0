// Path data of SVG from arrays of places. Pure text: no document is needed.

/** A place with a tenth of a pixel, in few characters. */
function place(value) {
  return String(Math.round(value * 10) / 10);
}

/** A line through the columns `first` to `last`; null lifts the pen. A value alone between gaps is left to `lonePath`. */
export function linePath(xs, values, y, first, last) {
  let path = "";
  let down = false;
  for (let i = first; i <= last; i += 1) {
    const value = values[i];
    if (value === null || value === undefined) {
      down = false;
      continue;
    }
    path += `${down ? "L" : "M"}${place(xs[i])} ${place(y(value))}`;
    down = true;
  }
  return path;
}

/** Dots for values that stand alone between gaps: lines of no length, to be stroked with round caps. */
export function lonePath(xs, values, y, first, last) {
  const there = (i) => i >= first && i <= last && values[i] !== null && values[i] !== undefined;
  let path = "";
  for (let i = first; i <= last; i += 1) {
    if (there(i) && !there(i - 1) && !there(i + 1)) path += `M${place(xs[i])} ${place(y(values[i]))}h0`;
  }
  return path;
}

/** The area between two edges. With one column it is as wide as `alone` says, so that it can be seen. */
export function areaPath(xs, lower, upper, y, first, last, alone = 2) {
  if (last < first) return "";
  if (last === first) {
    const [x, top, bottom] = [xs[first], y(upper[first]), y(lower[first])];
    return `M${place(x - alone)} ${place(top)}H${place(x + alone)}V${place(bottom)}H${place(x - alone)}Z`;
  }
  let path = "";
  for (let i = first; i <= last; i += 1) path += `${i === first ? "M" : "L"}${place(xs[i])} ${place(y(upper[i]))}`;
  for (let i = last; i >= first; i -= 1) path += `L${place(xs[i])} ${place(y(lower[i]))}`;
  return `${path}Z`;
}

/** Many rectangles as one path. */
export function boxPath(x, y, width, height) {
  return `M${place(x)} ${place(y)}h${place(width)}v${place(height)}h${place(-width)}z`;
}

/** Many dots as one path: lines of no length, to be stroked with round caps. */
export function dotPath(points) {
  return points.map(([x, y]) => `M${place(x)} ${place(y)}h0`).join("");
}

/** Many small crosses as one path. */
export function crossPath(points, arm = 3) {
  const side = place(2 * arm);
  return points
    .map(([x, y]) => `M${place(x - arm)} ${place(y - arm)}l${side} ${side}m0 -${side}l-${side} ${side}`)
    .join("");
}
