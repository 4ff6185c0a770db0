// The page of a real run in a real browser, against the run's exported summary. Exits with 1 when something does not hold.
//
// Usage: node run.mjs FOLDER live URL        watches a dashboard until its run has ended and its server is gone
//        node run.mjs FOLDER report FILE JSON   opens a report as a file and compares it with the summary
// FOLDER is writable: the browser's profile and screenshots (*.png) go there. Needs playwright-core and Chromium.

import assert from "node:assert/strict";
import { mkdtemp, readFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const [folder, mode, target, summaryFile] = process.argv.slice(2);
const PATIENCE = 60_000;

const profile = await mkdtemp(path.join(folder, "profile-"));
const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS, viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
page.setDefaultTimeout(PATIENCE);
const complaints = [];
const requests = [];
page.on("console", (message) => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
page.on("pageerror", (error) => complaints.push(error.stack));
page.on("request", (request) => { if (!request.url().startsWith("data:")) requests.push(request.url()); });

const id = (name) => page.getByTestId(name);
const figure = async (name) => Number(await id(`figure-${name}`).getAttribute("data-value"));
const shot = (name) => page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });

/** The numbers of a column of a table: `data-count` where there is one, else `data-value`. */
async function column(table, name) {
  const cells = await page.$$eval(`[data-testid="${table}"] tbody [data-column="${name}"]`, (found) => found.map((cell) => cell.dataset.count ?? cell.dataset.value));
  return cells.map(Number);
}

/** Opens a chart's table view. */
async function open(chart) {
  const button = id(`table-button-${chart}`);
  await button.scrollIntoViewIfNeeded();
  if ((await button.getAttribute("aria-expanded")) !== "true" && (await button.getAttribute("aria-pressed")) !== "true") await button.click();
  await id(`table-${chart}`).waitFor();
}

const sum = (values) => values.reduce((all, value) => all + value, 0);

/** That two figures are the same but for rounding. */
function near(found, expected, what) {
  assert.ok(Math.abs(found - expected) <= Math.abs(expected) * 0.001 + 1e-9, `${what}: ${found} is not ${expected}`);
}

/** That nothing is wider than the window. */
async function fits(width) {
  await page.setViewportSize({ width, height: 900 });
  const [scroll, client] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(scroll <= client, `at ${width} px the page is ${scroll} px wide`);
}

async function live() {
  const server = new URL(target).origin;
  await page.goto(target);
  await id("verdict").waitFor();
  assert.equal(await id("verdict").getAttribute("data-passed"), "null");
  await page.waitForFunction(() => Number(document.querySelector('[data-testid="figure-requests"]')?.dataset.value) > 0);
  const first = await figure("requests");
  await page.waitForFunction((before) => Number(document.querySelector('[data-testid="figure-requests"]').dataset.value) > before, first);
  const second = await figure("requests");
  assert.ok(second > first, `${second} > ${first}`);
  // What only a report knows comes every few seconds.
  await page.waitForFunction(() => document.querySelectorAll('[data-testid="slowest-table"] tbody tr').length > 0);
  await page.waitForFunction(() => document.querySelectorAll('[data-testid="advice"] li').length > 0);
  await page.waitForFunction(() => document.querySelectorAll('[data-testid="stages-table"] tbody tr').length > 0);
  assert.equal(await id("verdict").getAttribute("data-passed"), "null", "while the run goes on");
  await shot("live");
  await page.waitForFunction(() => document.querySelector('[data-testid="verdict"]').dataset.passed !== "null");
  const last = await figure("requests");
  assert.ok(last >= second);
  // The server goes with the run, the page stays.
  await page.waitForTimeout(100);
  for (let tries = 0; tries < 600; tries += 1) {
    const gone = await fetch(server).then(() => false, () => true);
    if (gone) break;
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.equal(await figure("requests"), last);
  await fits(375);
  await shot("live-ended-375");
  for (const url of requests) assert.ok(url.startsWith(server), `a request to ${url}`);
  assert.deepEqual(complaints, []);
  process.stdout.write(`ok: ${JSON.stringify({ first, second, last })}\n`);
}

async function report() {
  const summary = JSON.parse(await readFile(summaryFile, "utf8"));
  const url = pathToFileURL(target).href;
  await context.setOffline(true);
  await page.goto(url);
  await id("verdict").waitFor();
  assert.equal(await id("verdict").getAttribute("data-passed"), String(summary.verdict.passed));

  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of [375, 1600]) {
      await fits(width);
      await shot(`report-${scheme}-${width}`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });

  const { metrics } = summary;
  const duration = metrics.http_req_duration;
  assert.equal(await figure("requests"), metrics.http_reqs.count);
  assert.equal(await figure("failed"), metrics.http_req_failed.passes);
  near(await figure("rate"), metrics.http_reqs.rate, "rate");
  for (const [name, value] of [["p50", duration.med], ["p95", duration.p95], ["p99", duration.p99], ["duration", summary.run.duration_s]]) near(await figure(name), value, name);

  // Charts hold the data of the run: their table views add up to the export, and second by second they are its points.
  await open("requests");
  const [ok, failed] = [await column("table-requests", "ok"), await column("table-requests", "failed")];
  assert.equal(sum(ok) + sum(failed), metrics.http_reqs.count, "requests in the chart");
  assert.equal(sum(failed), metrics.http_req_failed.passes, "failures in the chart");
  const points = summary.series.points;
  assert.deepEqual(ok.map((count, at) => count + failed[at]), points.map((point) => point.requests));
  await open("latency");
  for (const [name, field] of [["p50", "med"], ["p95", "p95"], ["p99", "p99"], ["max", "max"]]) {
    const found = await column("table-latency", name);
    points.forEach((point, at) => { if (point.duration) near(found[at], point.duration[field], `${name} of second ${at}`); });
  }
  await open("checks");
  assert.equal(sum(await column("table-checks", "ok")), metrics.checks.passes);
  assert.equal(sum(await column("table-checks", "failed")), metrics.checks.fails);
  await open("iterations");
  assert.equal(sum(await column("table-iterations", "ok")) + sum(await column("table-iterations", "failed")), metrics.iterations.count);
  await open("bytes");
  assert.equal(sum(await column("table-bytes", "received")), metrics.data_received.count);
  await open("vus");
  assert.equal(Math.max(...(await column("table-vus", "vus"))), Math.max(...points.map((point) => point.vus)));
  await open("errors");
  const kinds = await page.$$eval('[data-testid="table-errors"] tbody tr:first-child [data-column^="error_"]', (cells) => cells.map((cell) => cell.dataset.column));
  const errors = [];
  for (const kind of kinds) errors.push(sum(await column("table-errors", kind)));
  assert.deepEqual(errors, summary.errors.slice(0, errors.length).map((error) => error.count), "errors by kind");
  await open("distribution");
  const [percentiles, values] = [await column("table-distribution", "percentile"), await column("table-distribution", "duration")];
  near(values[percentiles.indexOf(95)], duration.p95, "p95 of the distribution");
  near(values.at(-1), duration.max, "the largest of the distribution");
  await open("heatmap");
  const cells = await page.$$eval('[data-testid="table-heatmap"] tbody [data-column^="bucket_"]', (found) => found.map((cell) => Number(cell.dataset.count ?? cell.dataset.value)));
  assert.equal(sum(cells), duration.count, "requests in the heatmap");
  for (const chart of ["phases", "generator", "load"]) await open(chart);
  assert.ok((await column("table-phases", "waiting")).some((value) => value > 0));
  assert.ok((await column("table-generator", "memory_bytes")).some((value) => value > 0));

  const rows = await page.$$eval('[data-testid="requests-table"] tbody tr[data-name]', (found) => found.map((row) => [row.dataset.name, Number(row.querySelector('[data-column="count"]').dataset.value)]));
  assert.deepEqual(rows.sort(), summary.requests.map((request) => [request.name, request.count]).sort());
  const texts = async (name) => (await id(name).innerText()).replaceAll("\n", " ");
  for (const threshold of summary.thresholds) assert.ok((await texts("thresholds-table")).includes(threshold.expression), threshold.expression);
  for (const check of summary.checks) assert.ok((await texts("checks-table")).includes(check.name), check.name);
  for (const error of summary.errors) assert.ok((await texts("errors-table")).includes(error.message), error.message);
  for (const advice of summary.advice) assert.ok((await texts("advice")).includes(advice.title), advice.title);
  for (const name of ["groups-table", "scenarios-table", "stages-table", "run-info"]) assert.ok((await texts(name)).length > 0, name);

  // With all table views open too, nothing is wider than a phone.
  await fits(375);
  // Nothing but the file itself, under a policy that would not let it speak to anybody.
  assert.deepEqual(requests, [url]);
  assert.deepEqual(complaints, []);
  const policy = await page.evaluate(() => document.querySelector('meta[http-equiv="Content-Security-Policy"]').content);
  assert.ok(policy.includes("default-src 'none'") && policy.includes("connect-src 'none'"), policy);
  process.stdout.write(`ok: ${JSON.stringify({ requests: metrics.http_reqs.count, rows: rows.length, seconds: points.length })}\n`);
}

try {
  await (mode === "live" ? live() : report());
} finally {
  await context.close();
}
