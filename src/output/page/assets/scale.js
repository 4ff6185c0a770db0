// Scales: how values become places on the paper and back, and where ticks go. Pure arithmetic.

/**
 * A scale from values to pixels.
 * @typedef {object} Scale
 * @property {(value: number) => number} at   the place of a value
 * @property {(place: number) => number} back the value at a place
 * @property {number[]} ticks values that deserve a line
 */

/** Round steps for about so many ticks between two values. */
function niceStep(extent, wanted) {
  const rough = extent / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 2.5, 5, 10].find((f) => f * power >= rough * 0.999) ?? 10;
  return factor * power;
}

/** Ticks of a linear axis from zero; the last is at or above `max`, and so the axis' end. */
export function linearTicks(max, wanted = 4, whole = false) {
  if (!(max > 0)) return [0, 1];
  let step = niceStep(max, wanted);
  if (whole) step = Math.max(1, Math.ceil(step));
  const ticks = [];
  for (let n = 0; ticks.length === 0 || ticks.at(-1) < max - step * 1e-6; n += 1)
    ticks.push(Number((n * step).toPrecision(12)));
  return ticks;
}

/** A linear scale from zero to the last tick. */
export function linear(max, low, high, wanted, whole) {
  const ticks = linearTicks(max, wanted, whole);
  const end = ticks.at(-1);
  return {
    at: (v) => low + (v / end) * (high - low),
    back: (p) => ((p - low) / (high - low)) * end,
    ticks,
    min: 0,
    max: end,
  };
}

/** Ticks of a logarithmic axis: 1, 2, 5 where there is room, else powers of ten, else some of these. */
export function logTicks(min, max, wanted = 5) {
  const [from, to] = [Math.floor(Math.log10(min) + 1e-9), Math.ceil(Math.log10(max) - 1e-9)];
  const decades = Math.max(1, to - from);
  const factors = decades * 3 <= wanted * 1.5 ? [1, 2, 5] : [1];
  const stride = factors.length > 1 ? 1 : Math.ceil(decades / wanted);
  const ticks = [];
  for (let power = from; power <= to; power += stride) {
    for (const factor of factors) {
      const tick = Number((factor * 10 ** power).toPrecision(6));
      if (tick >= min * 0.999 && tick <= max * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

/** Rounds down (or up) to the nearest 1, 2 or 5 times a power of ten. */
export function roundLog(value, up) {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  const factors = [1, 2, 5, 10];
  const found = up
    ? factors.find((f) => f * power >= value * 0.999)
    : factors.findLast((f) => f * power <= value * 1.001);
  return Number(((found ?? 1) * power).toPrecision(6));
}

/** A logarithmic scale that covers both values with round ends. What is zero or less lies on the lower end. */
export function logarithmic(min, max, low, high, wanted) {
  const bottom = roundLog(min > 0 ? min : 1, false);
  const top = Math.max(roundLog(max > 0 ? max : 1, true), bottom * 10);
  const [a, b] = [Math.log(bottom), Math.log(top)];
  return {
    at: (v) => low + ((Math.log(Math.max(v, bottom)) - a) / (b - a)) * (high - low),
    back: (p) => Math.exp(a + ((p - low) / (high - low)) * (b - a)),
    ticks: logTicks(bottom, top, wanted),
    min: bottom,
    max: top,
  };
}

const TIME_STEPS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
];

/** A scale of time, in seconds, with ticks on round moments. */
export function timeScale(from, to, low, high, wanted = 6) {
  const end = to > from ? to : from + 1;
  const step =
    TIME_STEPS.find((s) => (end - from) / s <= wanted && (s >= 1 || end - from < 2)) ??
    86400 * Math.ceil((end - from) / 86400 / wanted);
  const ticks = [];
  for (let n = Math.ceil(from / step - 1e-9); n * step <= end + 1e-9; n += 1) ticks.push(Number((n * step).toFixed(3)));
  return {
    at: (v) => low + ((v - from) / (end - from)) * (high - low),
    back: (p) => from + ((p - low) / (high - low)) * (end - from),
    ticks,
    min: from,
    max: end,
  };
}

/** A scale of percentiles by nines: 90, 99 and 99.9 are equally far apart. The last has to be below 100. */
export function ninesScale(last, low, high) {
  const nines = (p) => -Math.log10(1 - Math.min(p, last) / 100);
  const end = nines(last) || 1;
  const ticks = [0, 50, 75, 90, 95, 99, 99.9, 99.99, 99.999].filter((p) => p <= last + 1e-9);
  return {
    at: (p) => low + (nines(p) / end) * (high - low),
    back: (place) => 100 * (1 - 10 ** -(((place - low) / (high - low)) * end)),
    ticks,
    min: 0,
    max: last,
  };
}

/** Where in a rising list the value nearest to another is; -1 when the list is empty. */
export function nearest(values, wanted) {
  let [low, high] = [0, values.length - 1];
  if (high < 0) return -1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle;
    else high = middle;
  }
  return wanted - values[low] <= values[high] - wanted ? low : high;
}

/** Places for labels that must not overlap: each at least `gap` below the one before, all within the bounds. */
export function spread(places, gap, low, high) {
  const order = places.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place);
  let floor = low;
  for (const item of order) {
    item.place = Math.max(item.place, floor);
    floor = item.place + gap;
  }
  let ceiling = high;
  for (const item of order.reverse()) {
    item.place = Math.min(item.place, ceiling);
    ceiling = item.place - gap;
  }
  const result = new Array(places.length);
  for (const item of order) result[item.index] = item.place;
  return result;
}
