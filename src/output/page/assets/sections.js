// Sections of the page: a heading that can be linked to, and what stands below it.

import { h, icon, ICONS } from "./dom.js";

/** Tells somebody who can't see that something was done. */
function announce(text) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = text;
}

/** Copies the address of a section, where the browser lets pages do that; the link works as a link either way. */
function copyLink(id, title) {
  const address = `${location.href.split("#")[0]}#${id}`;
  navigator.clipboard?.writeText(address).then(
    () => announce(`Link to ${title} copied`),
    () => {},
  );
}

/** A heading with its link. */
export function heading(id, title) {
  return h(
    "div",
    { class: "section-head" },
    h("h2", { id: `${id}-title` }, title),
    h(
      "a",
      {
        class: "anchor",
        href: `#${id}`,
        "aria-label": `Link to ${title}`,
        title: "Copy the link",
        onclick: () => copyLink(id, title),
      },
      icon(ICONS.link),
    ),
  );
}

/** A section with a heading. */
export function section(id, title, ...children) {
  return h("section", { id, class: "block", "aria-labelledby": `${id}-title` }, heading(id, title), children);
}
