// Making elements. All data is untrusted: it becomes text or an attribute here, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** Characters that turn the direction of what follows them: in somebody else's text they could forge what stands around it. */
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;

/** Text as it may be shown. */
function safe(text) {
  return String(text).replace(TURNING, "\ufffd");
}

/** Adds what an element holds: elements, text, lists of them; null and false are nothing. */
function fill(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(safe(child)));
  }
  return element;
}

/** Gives attributes. A function is a listener for the event its name gives (`onclick`); null and false mean none. */
function adorn(element, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  return element;
}

/**
 * An HTML element: `h("p", { class: "note" }, "text", child)`.
 * Never give it a `style`: the page's policy forbids style attributes; set properties of `element.style` instead.
 */
export function h(tag, attributes, ...children) {
  return fill(adorn(document.createElement(tag), attributes), children);
}

/** The same for SVG. */
export function svg(tag, attributes, ...children) {
  return fill(adorn(document.createElementNS(SVG, tag), attributes), children);
}

/** Sets the text of an element, leaving the document alone when it is the same. Answers whether it changed. */
export function setText(element, text) {
  const wanted = safe(text);
  if (element.textContent === wanted) return false;
  element.textContent = wanted;
  return true;
}

/** Text in which `backticks` mark code, as loadr's messages have them. */
export function prose(text) {
  return String(text)
    .split("`")
    .map((part, i, all) =>
      i % 2 === 1 && i < all.length - 1 ? h("code", {}, part) : i % 2 === 1 ? `\`${part}` : part,
    );
}

/** Text as a sentence: a capital first, a full stop last. */
export function sentence(text) {
  const whole = String(text).trim();
  if (whole === "") return "";
  return (
    (/^loadr\b/.test(whole) ? "l" : whole[0].toUpperCase()) + whole.slice(1) + (/[.!?…]$/.test(whole) ? "" : ".")
  );
}

/** A small drawing of 16 by 16 from a path; for eyes only, what it means is always written beside it. */
export function icon(path, className = "icon") {
  return svg(
    "svg",
    { class: className, viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: path }),
  );
}

/** Paths of icons, drawn with strokes of even width. */
export const ICONS = {
  tick: "M3 8.5 6.5 12 13 4.5",
  cross: "M4 4 12 12 M12 4 4 12",
  bang: "M8 2.5V9.5 M8 12.8v.4",
  clock: "M8 4.5V8l2.5 2 M14 8a6 6 0 1 1-12 0a6 6 0 0 1 12 0",
  link: "M6.5 9.5l3-3 M7 4.5l1.3-1.3a3 3 0 0 1 4.3 4.3L11.3 8.8 M9 11.5l-1.3 1.3a3 3 0 0 1-4.3-4.3L4.7 7.2",
  down: "M4 6l4 4 4-4",
  chart: "M2.5 13.5h11 M4 11V8 M8 11V3.5 M12 11V6",
  table: "M2.5 3.5h11v9h-11z M2.5 6.5h11 M6.5 6.5v6",
  sun: "M11 8a3 3 0 1 1-6 0a3 3 0 0 1 6 0 M8 1.5v1 M8 13.5v1 M1.5 8h1 M13.5 8h1 M3.4 3.4l.7.7 M11.9 11.9l.7.7 M3.4 12.6l.7-.7 M11.9 4.1l.7-.7",
};
