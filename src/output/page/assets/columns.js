// Arrays by time, as the document holds them (one entry a column): moments, rates, sums, peaks. Pure arithmetic.
//
// Column i lasts from i * interval_s for interval_s; the last one for last_s only. null is a gap, not zero.

/**
 * The time axis of some columns.
 * @typedef {object} Axis
 * @property {number} count    how many columns
 * @property {number} interval seconds of a column
 * @property {number} last     seconds of the last column
 * @property {number} end      where the last column ends, in seconds
 * @property {number[]} centres the middle of each column, in seconds
 */

/** The axis of `time`, or of anything else that has `interval_s`, `count` and perhaps `last_s`. */
export function axisOf(time) {
  const { count, interval_s: interval } = time;
  const last = count > 0 ? Math.min(time.last_s ?? interval, interval) : 0;
  const centres = Array.from({ length: count }, (_, i) => i * interval + (i === count - 1 ? last : interval) / 2);
  return { count, interval, last, end: count > 0 ? (count - 1) * interval + last : 0, centres };
}

/** The seconds that column `index` lasts. */
function widthOf(axis, index) {
  return index === axis.count - 1 ? axis.last : axis.interval;
}

/**
 * Counts a second. A last column of less than a fifth of its time is left open: a rate of so short a time is noise.
 */
export function perSecond(counts, axis) {
  if (!counts) return null;
  return counts.map((n, i) => {
    const width = widthOf(axis, i);
    if (n === null || (i > 0 && width < axis.interval * 0.2)) return null;
    return width > 0 ? n / width : null;
  });
}

/** The sum of what is known. */
export function sum(values) {
  let total = 0;
  for (const value of values ?? []) total += value ?? 0;
  return total;
}

/** Sums of several arrays, column by column; null where none is known. */
export function sums(arrays) {
  const known = arrays.filter(Boolean);
  if (known.length === 0) return null;
  return known[0].map((_, i) => known.reduce((total, a) => (a[i] === null ? total : (total ?? 0) + a[i]), null));
}

/** The largest value and where it is; null when nothing is known. */
export function peak(values) {
  let best = null;
  (values ?? []).forEach((value, index) => {
    if (value !== null && (best === null || value > best.value)) best = { value, index };
  });
  return best;
}

/** The smallest and the largest value above zero of several arrays within [from, to]; null when there is none. */
export function extent(arrays, from, to) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of arrays) {
    for (let i = from; i <= to; i += 1) {
      const value = values[i];
      if (value === null || value === undefined) continue;
      if (value > high) high = value;
      if (value > 0 && value < low) low = value;
    }
  }
  return high === -Infinity ? null : { low: low === Infinity ? 0 : low, high };
}

/** The middle value of what is known; null without any. */
export function median(values) {
  const sorted = values.filter((v) => v !== null && v !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** First and last column that touch a range of seconds, one more on each side so that lines reach the edges. */
export function visibleColumns(axis, [from, to]) {
  if (axis.count === 0) return [0, -1];
  const first = Math.max(0, Math.floor(from / axis.interval) - 1);
  const last = Math.min(axis.count - 1, Math.ceil(to / axis.interval));
  return [Math.min(first, axis.count - 1), last];
}

/** What a phase took on average per request of a column, those without the phase included: these stack up to the whole. */
export function phasePerRequest(phase, requests) {
  if (!phase?.avg) return null;
  return phase.avg.map((avg, i) => {
    if (!requests[i]) return null;
    return avg === null ? 0 : (avg * (phase.count?.[i] ?? requests[i])) / requests[i];
  });
}

/** Arrays on top of each other: for each its lower and upper edge, column by column. */
export function stacked(arrays) {
  let below = new Array(arrays[0]?.length ?? 0).fill(0);
  return arrays.map((values) => {
    const lower = below;
    const upper = values.map((value, i) => (value === null ? lower[i] : lower[i] + value));
    below = upper;
    return { lower, upper };
  });
}
