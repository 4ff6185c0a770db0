// The table of requests: a row for each name and method, which opens to charts of its own.

import { countColumn, failedColumn, statsColumns, timeColumn } from "./cells.js";
import { DataTable } from "./datatable.js";
import { DistributionChart } from "./distribution.js";
import { h, setText } from "./dom.js";
import { bytes, count, rate, share } from "./format.js";
import { requestSpecs } from "./specs.js";
import { TimeChart } from "./timechart.js";

/** What tells requests apart. */
function requestKey(request) {
  return `${request.method} ${request.name}`.trim();
}

/** The text of a row's statuses, the most frequent first. */
function statusesText(statuses, all) {
  const entries = Object.entries(statuses ?? {}).sort((a, b) => b[1] - a[1]);
  return entries
    .map(([code, n]) => `${code === "0" ? "no response" : code}: ${count(n)} (${share(n / all)})`)
    .join(", ");
}

/** What an opened row shows: facts, and charts where its course was kept. */
class RequestDetail {
  constructor(request, page, number) {
    this.page = page;
    this.id = `request-${number}`;
    this.facts = h("p", { class: "facts" });
    this.grid = h("div", { class: "charts" });
    this.element = h("div", { class: "request-detail" }, this.facts, this.grid);
    this.charts = [];
    this.distribution = null;
  }

  update(request) {
    const more = request.series
      ? ""
      : " Its course over time was not kept: there are many requests, and others were more frequent.";
    setText(
      this.facts,
      `Answers: ${statusesText(request.statuses, request.count)}. Sent ${bytes(request.bytes_sent)}, received ${bytes(request.bytes_received)}.${more}`,
    );
    const specs = requestSpecs(request, this.id);
    specs.forEach((spec, i) => {
      if (this.charts[i]) return this.charts[i].update(spec);
      this.charts[i] = new TimeChart(spec, this.page.shared, 4);
      return this.grid.append(this.charts[i].element);
    });
    if (!request.distribution) return;
    if (!this.distribution) {
      this.distribution = new DistributionChart({ name: `${this.id}-distribution`, level: 4, height: 110 });
      this.grid.append(this.distribution.element);
    }
    this.distribution.update(request.distribution, request.duration, this.page.doc.distribution);
  }
}

/** Makes the table of requests. `page` gives `shared` (window of time, marks) and `doc`, the document now. */
export function requestsTable(page) {
  let number = 0;
  return new DataTable({
    id: "requests-table",
    filterFrom: 5,
    caption: "Requests by name and method; open a row for its charts",
    key: requestKey,
    attributes: (row) => ({ "data-name": row.name, "data-method": row.method, class: row.others ? "others" : null }),
    expand: (row) => {
      number += 1;
      return new RequestDetail(row, page, number);
    },
    columns: [
      { key: "name", label: "Request", value: (row) => row.name, text: (row) => requestKey(row) },
      countColumn("count", "Count"),
      { key: "rate", label: "Rate", number: true, value: (row) => row.rate, text: (row) => rate(row.rate) },
      countColumn(
        "failed",
        "Failed",
        (row) => row.failed,
        (row) => (row.failed > 0 ? "bad" : null),
      ),
      failedColumn(
        "failed_share",
        "Failed, share",
        (row) => row.failed,
        (row) => row.count,
      ),
      timeColumn("avg", "Mean", (row) => row.duration?.avg),
      ...statsColumns(),
      {
        key: "bytes_received",
        label: "Received",
        number: true,
        value: (row) => row.bytes_received,
        text: (row) => bytes(row.bytes_received),
      },
    ],
  });
}
