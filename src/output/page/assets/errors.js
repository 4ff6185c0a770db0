// What an opened row of an error shows: the example in full, and the request that was the first to fail so.

import { phaseBar } from "./cells.js";
import { h } from "./dom.js";
import { bytes, clock, count, latency } from "./format.js";

/** The facts of a single request, as pairs of a word and what belongs to it. */
function factsOfRequest(request) {
  return [
    ["Request", `${request.method} ${request.name}`],
    ["URL", request.url],
    ["Answer", request.error || (request.status ? String(request.status) : "no response")],
    ["At", `${clock(request.at_s)}, ${request.started_at ?? ""}`.replace(/, $/, "")],
    ["Took", request.duration_ms === null ? null : latency(request.duration_ms)],
    ["Phases", request.duration_ms === null ? null : phaseBar(request)],
    ["Scenario", request.scenario],
    ["Group", request.group],
    ["VU, iteration", `${count(request.vu)}, ${count(request.iteration)}`],
    ["Sent, received", `${bytes(request.bytes_sent)}, ${bytes(request.bytes_received)}`],
    ["Trace id", request.trace_id],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
}

/** The detail of an error's row, for `DataTable`. */
export class ErrorDetail {
  constructor() {
    this.element = h("div", { class: "error-detail" });
    this.signature = "";
  }

  update(row) {
    const signature = JSON.stringify([row.example, row.request]);
    if (signature === this.signature) return;
    this.signature = signature;
    const facts = row.request ? factsOfRequest(row.request) : [];
    this.element.replaceChildren(
      h("pre", { tabindex: "0" }, row.example || row.message),
      facts.length > 0 ? h("p", { class: "quiet" }, "The first request that failed so:") : "",
      h(
        "dl",
        { class: "request-facts" },
        facts.map(([word, value]) => h("div", {}, h("dt", {}, word), h("dd", {}, value))),
      ),
    );
  }
}
