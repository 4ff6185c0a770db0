// What all modules of the page keep to.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

const ASSETS = path.resolve(import.meta.dirname, "../../../src/output/page/assets");
const FILES = readdirSync(ASSETS).map((name) => ({ name, text: readFileSync(path.join(ASSETS, name), "utf8") }));

test("files say what they are for, and are short", () => {
  assert.ok(FILES.length > 20);
  for (const { name, text } of FILES) {
    const lines = text.split("\n");
    if (name.endsWith(".js")) assert.match(lines[0], /^\/\/ [A-Z].{20}/, name);
    if (name.endsWith(".css")) assert.match(lines[0], /^\/\* [A-Z].{20}/, name);
    assert.ok(lines.length < 300, `${name} has ${lines.length} lines`);
    assert.ok(
      lines.every((line) => line.length <= 130 || /["`]/.test(line)),
      `${name} has lines that are too long`,
    );
  }
});

test("data never becomes markup, code or style", () => {
  for (const { name, text } of FILES.filter((f) => f.name.endsWith(".js"))) {
    const found =
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment|DOMParser|setAttribute\("style"|srcdoc/.exec(
        text,
      );
    assert.equal(found, null, `${name}: ${found?.[0]}`);
    if (name !== "dom.js")
      assert.doesNotMatch(text, /createElement|createTextNode/, `${name}: elements are made by dom.js`);
  }
});

test("nothing comes from elsewhere", () => {
  for (const { name, text } of FILES) {
    const foreign = [...text.matchAll(/https?:\/\/[\w.-]+/g)]
      .map((m) => m[0])
      .filter((url) => url !== "http://www.w3.org");
    assert.deepEqual(foreign, [], name);
    assert.doesNotMatch(text, /@import|url\(["']?(?!#|data:)[a-z]/, name);
  }
});

test("modules that are arithmetic know no document", () => {
  for (const { name, text } of FILES.filter((f) => /^(format|scale|columns|paths|merge)\.js$/.test(f.name))) {
    assert.doesNotMatch(text, /\b(document|window|navigator)\.\w/, name);
  }
});
