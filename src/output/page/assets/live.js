// The live page's line to the run: events that the server pushes (SSE).

import { applyUpdate } from "./merge.js";

/**
 * Listens to a run.
 * @param {(doc: object) => void} show   called with each new document
 * @param {(state: "live"|"lost"|"final") => void} tell called when the connection changes
 */
export function follow(show, tell) {
  let doc = null;
  const source = new EventSource("events");
  const read = (event) => {
    try {
      return JSON.parse(event.data);
    } catch {
      return null;
    }
  };
  source.addEventListener("document", (event) => {
    doc = read(event) ?? doc;
    if (!doc) return;
    tell(doc.live ? "live" : "final", doc);
    show(doc);
  });
  source.addEventListener("update", (event) => {
    const update = read(event);
    if (!update || !doc) return;
    doc = applyUpdate(doc, update);
    tell(doc.live ? "live" : "final", doc);
    show(doc);
  });
  source.addEventListener("bye", () => {
    source.close();
    tell(doc && !doc.live ? "final" : "lost", doc);
  });
  // The browser tries again by itself; what is shown stays.
  source.addEventListener("error", () => tell(doc && !doc.live ? "final" : "lost", doc));
  return () => source.close();
}
