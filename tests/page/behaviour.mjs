// The page in a real browser: what people do with it, live and final. Exits with 1 when something does not hold.
//
// Usage: node behaviour.mjs FOLDER [only], where FOLDER is writable. Needs playwright-core (package.json beside this) and
// Chromium, by CHROMIUM or at /usr/bin/chromium. Serves the page's files itself, with documents of sample.mjs.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { chromium } from "playwright-core";

import { begun, edges, EVIL, growth, sample } from "./sample.mjs";

const ASSETS = path.resolve(import.meta.dirname, "../../src/output/page/assets");
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:";
const TYPES = { ".js": "text/javascript", ".css": "text/css", ".html": "text/html; charset=utf-8" };

/** Serves the page with `doc` in it, and whatever is pushed to its live events. */
async function serve(doc) {
  const clients = new Set();
  const server = createServer(async (request, response) => {
    const name = request.url === "/" ? "index.html" : request.url.slice(1);
    if (name === "events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      clients.add(response);
      server.emit("client");
      return;
    }
    try {
      let body = await readFile(path.join(ASSETS, path.basename(name)), "utf8");
      if (name === "index.html")
        body = body.replace(
          /(id="loadr-data">)null/,
          (_, start) => start + JSON.stringify(doc).replaceAll("<", "\\u003c"),
        );
      response.writeHead(200, { "content-type": TYPES[path.extname(name)], "content-security-policy": POLICY });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    push: (event, data) => {
      for (const client of clients) client.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    connected: () => (clients.size > 0 ? Promise.resolve() : new Promise((done) => server.once("client", done))),
    drop: () => {
      for (const client of clients) client.destroy();
      clients.clear();
    },
    close: () =>
      new Promise((done) => {
        for (const client of clients) client.destroy();
        server.close(done);
        server.closeAllConnections();
      }),
  };
}

const context = await chromium.launchPersistentContext(process.argv[2], {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: FLAGS,
  viewport: { width: 1280, height: 900 },
});

/** Opens a page with a document; what it complains about, or asks others for, fails the test. */
async function opened(doc, run, { quiet = [] } = {}) {
  const server = await serve(doc);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !quiet.some((q) => message.text().includes(q)))
      complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("request", (request) => {
    if (!request.url().startsWith(server.address) && !request.url().startsWith("data:"))
      complaints.push(`request to ${request.url()}`);
  });
  try {
    await page.goto(server.address);
    await page.getByTestId("verdict").waitFor();
    await run(page, server);
    assert.deepEqual(complaints, []);
  } finally {
    await page.close();
    await server.close();
  }
}

const id = (page, name) => page.getByTestId(name);
/** Waits until something of the page holds. */
const until = (page, condition, argument) => page.waitForFunction(condition, argument, { timeout: 30_000 });
const column = (page, table, name) =>
  page.$$eval(`[data-testid="${table}"] tbody [data-column="${name}"]`, (cells) =>
    cells.filter((c) => !c.closest("tr").hidden).map((c) => c.dataset.value),
  );

/** Drags over a chart, from one share of its plot's width to another. */
async function drag(page, chart, from, to) {
  const plot = id(page, chart).locator(".plot");
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  await page.mouse.move(box.x + box.width * from, box.y + box.height / 2);
  await page.mouse.down();
  for (let step = 1; step <= 5; step += 1)
    await page.mouse.move(box.x + box.width * (from + ((to - from) * step) / 5), box.y + box.height / 2);
  await page.mouse.up();
}

const TESTS = {
  async "charts and their tables hold the document's data"() {
    const doc = sample();
    await opened(doc, async (page) => {
      const tables = {
        latency: { p50: doc.series.latency.p50, "p99.9": doc.series.latency["p99.9"] },
        vus: { vus: doc.series.vus },
        requests: { ok: doc.series.requests_ok, failed: doc.series.requests_failed },
        errors: { error_0: doc.series.requests_failed },
        generator: { memory_bytes: doc.series.generator.memory_bytes },
        phases: { waiting_p95: doc.series.phases.waiting.p95 },
        distribution: { duration: doc.distribution.duration },
        bytes: { received: doc.series.bytes_received },
        checks: { failed: doc.series.checks_failed },
        iterations: { dropped: doc.series.iterations_dropped },
      };
      for (const [name, columns] of Object.entries(tables)) {
        await id(page, `table-button-${name}`).click();
        await id(page, `table-${name}`).waitFor();
        for (const [key, values] of Object.entries(columns)) {
          assert.deepEqual((await column(page, `table-${name}`, key)).map(Number), values, `${name}: ${key}`);
        }
        await id(page, `table-button-${name}`).click();
      }
      await id(page, "table-button-heatmap").click();
      const cells = await page.$$eval('[data-testid="table-heatmap"] td', (tds) =>
        tds.map((td) => Number(td.dataset.value)),
      );
      assert.equal(
        cells.reduce((a, b) => a + b),
        doc.heatmap.cells.flatMap((c) => c.filter((_, i) => i % 2 === 1)).reduce((a, b) => a + b),
      );
      for (const name of ["load", "timeline"]) assert.ok(await id(page, `chart-${name}`).isVisible(), name);
      const figure = async (name) => (await id(page, `figure-${name}`).textContent()).replaceAll("\u00a0", " ");
      for (const [name, text] of Object.entries({
        p50: "5.00 ms",
        p95: "20.0 ms",
        p99: "45.0 ms",
        vus: "50",
        duration: "1 min 30 s",
      }))
        assert.equal(await figure(name), text);
      assert.equal(await id(page, "figure-requests").getAttribute("data-value"), String(doc.totals.requests));
      assert.equal(await id(page, "verdict").getAttribute("data-passed"), "false");
    });
  },

  async "dragging zooms all charts, and Escape, a double click and the button show all again"() {
    await opened(sample(), async (page) => {
      const rows = async () => (await column(page, "table-latency", "at_s")).length;
      await id(page, "table-button-latency").click();
      assert.equal(await rows(), 90);
      for (const reset of [
        () => page.keyboard.press("Escape"),
        () => id(page, "zoom-reset").click(),
        () => id(page, "chart-vus").locator(".plot").dblclick(),
      ]) {
        await drag(page, "chart-requests", 0.3, 0.6);
        await until(page, () => document.querySelectorAll('[data-testid="table-latency"] tbody tr').length < 45);
        assert.ok((await rows()) > 10);
        assert.ok(await id(page, "zoom-reset").isVisible());
        await reset();
        await until(page, () => document.querySelectorAll('[data-testid="table-latency"] tbody tr').length === 90);
        assert.ok(await id(page, "zoom-reset").isHidden());
      }
      // The heatmap and the timeline take the same gesture.
      for (const chart of ["chart-heatmap", "chart-timeline"]) {
        await drag(page, chart, 0.3, 0.6);
        await until(page, () => document.querySelectorAll('[data-testid="table-latency"] tbody tr').length < 45);
        await page.keyboard.press("Escape");
        await until(page, () => document.querySelectorAll('[data-testid="table-latency"] tbody tr').length === 90);
      }
    });
  },

  async "pointing shows the values of that moment, and the moment in all other charts"() {
    const doc = sample();
    await opened(doc, async (page) => {
      const plot = id(page, "chart-requests").locator(".plot");
      await plot.scrollIntoViewIfNeeded();
      await plot.hover({ position: { x: 300, y: 80 } });
      const tip = id(page, "chart-requests").locator(".tip");
      await tip.waitFor();
      const [minutes, seconds] = (await tip.locator("strong").textContent()).split(":").map(Number);
      const at = minutes * 60 + seconds;
      const shown = (await tip.locator("dd").allTextContents()).map((t) => Number(t.replace("/s", "")));
      assert.deepEqual(shown, [doc.series.requests_ok[at], doc.series.requests_failed[at]]);
      await until(page, () => document.querySelectorAll(".pointer .cursor").length >= 10);
      assert.equal(await page.locator(".tip:visible").count(), 1);
      await page.mouse.move(2, 2);
      await until(page, () => document.querySelectorAll(".pointer .cursor").length === 0);
    });
  },

  async "keys move through time, say values, zoom and go back"() {
    const doc = sample();
    await opened(doc, async (page) => {
      const plot = id(page, "chart-vus").locator(".plot");
      await plot.focus();
      await page.keyboard.press("Home");
      for (let i = 0; i < 12; i += 1) await page.keyboard.press("ArrowRight");
      await until(page, () =>
        document
          .querySelector('[data-testid="chart-vus"] .plot')
          .getAttribute("aria-valuetext")
          ?.startsWith("00:12: VUs 24"),
      );
      await page.keyboard.press("Shift+ArrowRight");
      await until(page, () =>
        document.querySelector('[data-testid="chart-vus"] .plot').getAttribute("aria-valuetext")?.startsWith("00:22"),
      );
      await page.keyboard.press("+");
      await id(page, "zoom-reset").waitFor();
      for (let i = 0; i < 5; i += 1) await page.keyboard.press("Shift+ArrowRight");
      await until(page, () =>
        document.querySelector('[data-testid="chart-vus"] .plot').getAttribute("aria-valuetext")?.startsWith("01:12"),
      );
      await page.keyboard.press("Escape");
      await until(page, () => document.querySelector('[data-testid="zoom-reset"]').hidden);
      // Charts that are not over time have points to step through.
      await id(page, "chart-distribution").locator(".plot").focus();
      for (let i = 0; i < 5; i += 1) await page.keyboard.press("ArrowRight");
      const text = await id(page, "chart-distribution").locator(".plot").getAttribute("aria-valuetext");
      assert.equal(text.replaceAll("\u00a0", " "), "p95: latency 20.0 ms");
    });
  },

  async "touch points and zooms"() {
    await opened(sample(), async (page) => {
      await id(page, "table-button-latency").click();
      const sent = await page.evaluate(() => {
        const plot = document.querySelector('[data-testid="chart-requests"] .plot');
        const box = plot.getBoundingClientRect();
        const send = (type, share) =>
          plot.dispatchEvent(
            new PointerEvent(type, {
              pointerId: 7,
              pointerType: "touch",
              isPrimary: true,
              button: 0,
              clientX: box.left + box.width * share,
              clientY: box.top + 60,
              bubbles: true,
            }),
          );
        plot.setPointerCapture = () => {};
        send("pointerdown", 0.4);
        send("pointermove", 0.5);
        send("pointermove", 0.7);
        send("pointerup", 0.7);
        send("pointerleave", 0.7);
        return getComputedStyle(plot).touchAction;
      });
      assert.equal(sent, "pan-y", "the page still scrolls over charts");
      await until(page, () => document.querySelectorAll('[data-testid="table-latency"] tbody tr').length < 45);
      assert.ok(await id(page, "chart-requests").locator(".tip").isVisible(), "values stay to be read");
    });
  },

  async "legends switch series, and the scale can be linear"() {
    await opened(sample(), async (page) => {
      const chart = id(page, "chart-latency");
      const lines = () => chart.locator("svg.paper path.line").count();
      assert.equal(await lines(), 5);
      await chart.locator('[data-series="p75"]').click();
      assert.equal(await lines(), 6);
      assert.equal(await chart.locator('[data-series="p75"]').getAttribute("aria-pressed"), "true");
      for (const key of ["p50", "p75", "p90", "p95", "p99"]) await chart.locator(`[data-series="${key}"]`).click();
      await chart.locator('[data-series="p99.9"]').click();
      assert.equal(await lines(), 1, "one always stays");
      const ticks = () => chart.locator("text.tick").allTextContents();
      const before = await ticks();
      await chart.getByRole("button", { name: /Log scale/ }).click();
      const after = await ticks();
      assert.notDeepEqual(after, before);
      assert.ok(
        after.some((t) => t.replace("\u00a0", " ") === "0 ms"),
        `${after}`,
      );
    });
  },

  async "requests are sorted, filtered and opened"() {
    const doc = sample();
    await opened(doc, async (page) => {
      const table = id(page, "requests-table");
      await table.getByRole("button", { name: "p95" }).click();
      const down = (await column(page, "requests-table", "p95")).map(Number);
      assert.deepEqual(
        down,
        [...down].sort((a, b) => b - a),
      );
      assert.equal(await table.locator('th[data-column="p95"]').getAttribute("aria-sort"), "descending");
      await table.getByRole("button", { name: "p95" }).click();
      assert.deepEqual((await column(page, "requests-table", "p95")).map(Number), [...down].reverse());
      await page.getByRole("searchbox").first().fill("cat");
      assert.deepEqual(await column(page, "requests-table", "name"), ["catalogue"]);
      await page.getByRole("searchbox").first().fill("");
      await table.getByRole("button", { name: "GET catalogue" }).click();
      const detail = table.locator("tr.detail");
      await detail.locator("svg.paper path").first().waitFor({ state: "attached" });
      assert.equal(await detail.locator(".chart").count(), 3);
      assert.ok((await detail.locator(".facts").textContent()).startsWith("Answers: 200:"));
      await table.getByRole("button", { name: "GET catalogue" }).click();
      assert.ok(await detail.isHidden());
    });
  },

  async "single requests are told in full, and columns without values left out"() {
    const doc = sample(20);
    const example = {
      ...doc.slowest[0],
      status: 0,
      error: "request timeout",
      group: "shop",
      at_s: -1.5,
      phases: {
        blocked_ms: 2,
        connecting_ms: 1,
        tls_handshaking_ms: 30,
        sending_ms: 0.1,
        waiting_ms: 10,
        receiving_ms: null,
      },
    };
    doc.slowest = [{ ...example, trace_id: null }];
    doc.errors = [{ ...doc.errors[0], example: "error: no such item\n --> shop.rhai:7:9", request: example }];
    await opened(doc, async (page) => {
      const cell = (table, name) => id(page, table).locator(`tbody [data-column="${name}"]`);
      assert.equal(await cell("slowest-table", "status").textContent(), "request timeout");
      assert.equal(await cell("slowest-table", "at_s").textContent(), "−00:01.5");
      assert.match(await cell("slowest-table", "phases").textContent(), /TLS 73/);
      assert.ok(await cell("slowest-table", "group").isVisible());
      assert.ok(await cell("slowest-table", "trace_id").isHidden(), "nobody has one");
      assert.equal(await cell("errors-table", "trace_id").textContent(), example.trace_id);
      assert.equal(await cell("errors-table", "first").textContent(), "POST order");
      await id(page, "errors-table").getByRole("button", { name: doc.errors[0].message }).click();
      const detail = id(page, "errors-table").locator("tr.detail");
      assert.equal(await detail.locator("pre").textContent(), doc.errors[0].example);
      assert.match(await detail.locator("dl").textContent(), /4bf92f3577b34da6a3ce929d0e0e4736/);
    });
    await opened(sample(20), async (page) => {
      assert.ok(await id(page, "errors-table").locator('th[data-column="first"]').isHidden());
      assert.ok(await id(page, "slowest-table").locator('td[data-column="trace_id"]').isVisible());
    });
  },

  async "advice leads to what it is about"() {
    await opened(sample(), async (page) => {
      const buttons = id(page, "advice").getByRole("button");
      await buttons.nth(0).click();
      assert.ok(await page.locator("tr.detail").isVisible());
      assert.ok(await page.locator('#requests-table tr[data-name="order"]').isVisible());
      await buttons.nth(1).click();
      await id(page, "zoom-reset").waitFor();
      assert.equal(
        await page.evaluate(() => document.activeElement.closest(".chart")?.dataset.testid),
        "chart-latency",
      );
    });
  },

  async "the theme is chosen and remembered"() {
    await opened(sample(10), async (page) => {
      const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      await page.emulateMedia({ colorScheme: "light" });
      const light = await back();
      await page.emulateMedia({ colorScheme: "dark" });
      const dark = await back();
      assert.notEqual(light, dark, "it follows the system");
      await id(page, "theme-toggle").click();
      assert.equal(await back(), light);
      await page.reload();
      await id(page, "verdict").waitFor();
      assert.equal(await back(), light, "remembered");
      await id(page, "theme-toggle").click();
      await page.emulateMedia({ colorScheme: "light" });
      assert.equal(await back(), dark);
      await id(page, "theme-toggle").click();
      assert.equal(await back(), light, "and back to the system's");
    });
  },

  async "a live page grows, and keeps zoom, focus, open rows, sorting and the filter"() {
    const doc = sample();
    await opened(begun(doc, 20), async (page, server) => {
      await server.connected();
      server.push("document", begun(doc, 20));
      await until(page, () => document.querySelector('[data-testid="live-state"]').textContent === "Live");
      assert.equal(await id(page, "verdict").getAttribute("data-passed"), "null");
      const table = id(page, "requests-table");
      await table.getByRole("button", { name: "p95" }).click();
      await table.getByRole("button", { name: "GET catalogue" }).click();
      await table.locator("tr.detail svg.paper").first().waitFor();
      await id(page, "table-button-errors").click();
      await drag(page, "chart-requests", 0.3, 0.6);
      await id(page, "zoom-reset").waitFor();
      const zoom = await id(page, "zoom-reset").textContent();
      await table
        .getByRole("button", { name: "GET item" })
        .or(table.getByRole("button", { name: "POST item" }))
        .focus();
      const before = Number(await id(page, "figure-requests").getAttribute("data-value"));
      for (let second = 21; second <= 25; second += 1) server.push("update", growth(doc, second - 1, second));
      await until(
        page,
        (n) => Number(document.querySelector('[data-testid="figure-requests"]').dataset.value) > n,
        before,
      );
      await until(
        page,
        (n) => Number(document.querySelector('[data-testid="figure-requests"]').dataset.value) === n,
        begun(doc, 25).totals.requests,
      );
      assert.equal(await id(page, "zoom-reset").textContent(), zoom);
      assert.equal(await table.locator('th[data-column="p95"]').getAttribute("aria-sort"), "descending");
      assert.ok(await table.locator("tr.detail").isVisible());
      assert.ok(await id(page, "table-errors").isVisible());
      assert.match(await page.evaluate(() => document.activeElement.textContent), /item/);
      await page.keyboard.press("Escape");
      await id(page, "table-button-latency").click();
      await until(page, () => document.querySelectorAll('[data-testid="table-latency"] tbody tr').length === 25);
      assert.deepEqual((await column(page, "table-latency", "p95")).map(Number), doc.series.latency.p95.slice(0, 25));
      // The end: the verdict comes, and nobody connects again.
      server.push("document", doc);
      server.push("bye", {});
      await until(page, () => document.querySelector('[data-testid="live-state"]').textContent === "Final");
      assert.equal(await id(page, "verdict").getAttribute("data-passed"), "false");
      assert.equal((await column(page, "table-latency", "p95")).length, 90);
    });
  },

  async "a lost connection is said, and what was there stays"() {
    const doc = sample();
    await opened(
      begun(doc, 20),
      async (page, server) => {
        await server.connected();
        server.push("document", begun(doc, 22));
        await until(page, () => document.querySelector('[data-testid="live-state"]').textContent === "Live");
        server.drop();
        await until(
          page,
          () => document.querySelector('[data-testid="live-state"]').textContent === "Connection lost at 00:22",
        );
        assert.equal(
          await id(page, "figure-requests").getAttribute("data-value"),
          String(begun(doc, 22).totals.requests),
        );
        // The browser tries again by itself.
        await server.connected();
        server.push("document", begun(doc, 30));
        await until(page, () => document.querySelector('[data-testid="live-state"]').textContent === "Live");
      },
      { quiet: ["ERR_"] },
    );
  },

  async "documents at the edges fit every screen, and text stays text"() {
    for (const [name, doc] of Object.entries({ ...edges(), usual: sample() })) {
      await opened(doc, async (page) => {
        for (const width of [375, 900, 1600]) {
          await page.setViewportSize({ width, height: 900 });
          await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
          const [wide, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
          assert.ok(wide <= inner, `${name} is ${wide} pixels wide at ${inner}`);
        }
        assert.equal(await page.evaluate(() => window.hacked), undefined);
        assert.equal(await page.locator("main script, main img").count(), 0, name);
        if (name === "hostile") assert.equal(await page.locator("h1").textContent(), EVIL.replace("\u202e", "\ufffd"));
        assert.doesNotMatch(
          await page.evaluate(() => document.body.innerText),
          /NaN|undefined|Infinity|\[object/,
          name,
        );
      });
    }
  },

  async "on paper everything is there"() {
    await opened(sample(), async (page) => {
      await page.evaluate(() => window.dispatchEvent(new Event("beforeprint")));
      await page.emulateMedia({ media: "print", colorScheme: "dark" });
      assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
      assert.ok(await page.locator(".top-bar").isHidden());
      for (const section of await page.$$("main > section"))
        assert.ok((await section.isVisible()) || (await section.evaluate((s) => s.hidden)));
      await page.emulateMedia({ media: "screen" });
      await page.evaluate(() => window.dispatchEvent(new Event("afterprint")));
      assert.ok((await page.pdf()).length > 50_000);
    });
  },

  async "structure: landmarks, names, headings in order, ids once"() {
    await opened(sample(), async (page) => {
      const found = await page.evaluate(() => {
        const all = [...document.querySelectorAll("*")];
        const ids = all.map((e) => e.id).filter(Boolean);
        const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((e) => Number(e.tagName[1]));
        const name = (e) =>
          (
            e.getAttribute("aria-label") ??
            document.getElementById(e.getAttribute("aria-labelledby"))?.textContent ??
            e.textContent
          ).trim();
        return {
          twice: ids.filter((each, i) => ids.indexOf(each) !== i),
          jumps: levels.filter((level, i) => i > 0 && level > levels[i - 1] + 1),
          unnamed: [...document.querySelectorAll("button, a, input, [role=slider], section")]
            .filter((e) => name(e) === "" && !e.placeholder)
            .map((e) => e.outerHTML.slice(0, 120)),
          pictures: [...document.querySelectorAll("svg")].filter(
            (s) => s.getAttribute("aria-hidden") !== "true" && !s.getAttribute("aria-label"),
          ).length,
          landmarks: ["header", "main", "nav", "footer", "h1"].map((tag) => document.querySelectorAll(tag).length),
          sliders: [...document.querySelectorAll("[role=slider]")]
            .filter((s) => s.getClientRects().length > 0 && !/\. .+\.$/.test(s.getAttribute("aria-label") ?? ""))
            .map((s) => s.closest(".chart").id),
          captions: [...document.querySelectorAll("table")].filter((t) => !t.caption?.textContent).length,
        };
      });
      assert.deepEqual(found, {
        twice: [],
        jumps: [],
        unnamed: [],
        pictures: 0,
        landmarks: [1, 1, 1, 1, 1],
        sliders: [],
        captions: 0,
      });
      // Every section can be linked to.
      const links = await page.$$eval(".anchor", (all) =>
        all.map((a) => [a.getAttribute("href"), a.closest("section").id]),
      );
      assert.ok(links.length >= 8);
      for (const [href, section] of links) assert.equal(href, `#${section}`);
    });
  },
};

let failures = 0;
for (const [name, run] of Object.entries(TESTS)) {
  if (process.argv[3] && !name.includes(process.argv[3])) continue;
  try {
    await run();
    console.log(`ok: ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED: ${name}\n${error.stack}`);
  }
}
await context.close();
process.exitCode = failures > 0 ? 1 : 0;
