// What a live update does to the document: arrays by time are cut where the update begins and continued, everything else
// is replaced, what is missing stays. Pure; answers a new document and leaves the old one alone.

/** Continues one array by time, or every array in a tree of them. `kinds` (of errors) is a list, not an array by time. */
function continued(before, now, from, key) {
  if (now === undefined) return before;
  if (now === null || key === "kinds") return now;
  if (Array.isArray(now)) {
    if (key === "counts" && Array.isArray(now[0])) {
      // One array a kind of error; a kind that is new had none before.
      return now.map((values, kind) => extended(before?.[kind], values, from, 0));
    }
    return extended(before, now, from, null);
  }
  if (typeof now !== "object") return now;
  const result = { ...(before ?? {}) };
  for (const [name, value] of Object.entries(now)) result[name] = continued(before?.[name], value, from, name);
  return result;
}

/** The first `from` entries of an array (made up where it is shorter), then the new ones. */
function extended(before, values, from, filler) {
  const kept = (before ?? []).slice(0, from);
  while (kept.length < from) kept.push(filler);
  return kept.concat(values);
}

/** The heatmap, whose columns are arrays themselves. */
function continuedHeatmap(before, now) {
  if (!now || !now.cells) return now;
  return { ...before, ...now, cells: extended(before?.cells, now.cells, now.from ?? 0, []) };
}

/** The rows of requests, matched by method and name; those that the update does not name stay. */
function continuedRequests(before, now) {
  const key = (request) => `${request.method} ${request.name}`;
  const rows = new Map((before ?? []).map((request) => [key(request), request]));
  for (const request of now) {
    const old = rows.get(key(request));
    const row = { ...old, ...request };
    if (request.series) row.series = continued(old?.series, request.series, request.series.from ?? 0, "series");
    rows.set(key(request), row);
  }
  return [...rows.values()];
}

/**
 * Applies an `update` event to a document.
 * @param {object} before the document so far
 * @param {object} update the same shape, with what is new
 * @returns {object} the document now
 */
export function applyUpdate(before, update) {
  const from = update.time?.from ?? 0;
  const after = { ...before, ...update };
  if (update.series !== undefined) after.series = continued(before.series, update.series, from, "series");
  if (update.heatmap !== undefined) after.heatmap = continuedHeatmap(before.heatmap, update.heatmap);
  if (update.requests !== undefined) after.requests = continuedRequests(before.requests, update.requests);
  return after;
}
