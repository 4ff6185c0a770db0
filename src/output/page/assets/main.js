// Shows the verdict as text.

/** Adds an element with a text. */
function add(parent, tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

/** Reads the document and tells its verdict. */
function main() {
  const page = document.getElementById("page");
  const data = JSON.parse(document.getElementById("loadr-data").textContent);
  const verdict = add(page, "h1", data.verdict.headline);
  verdict.dataset.testid = "verdict";
  verdict.dataset.passed = String(data.verdict.passed);
  for (const reason of data.verdict.reasons) {
    add(page, "p", reason);
  }
}

main();
