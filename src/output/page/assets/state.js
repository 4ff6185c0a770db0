// What all charts share: the part of time that is shown, and the moment that is pointed at. And the theme of the page.

/** The window of time and the cursor. Charts subscribe; changes of one turn of the event loop are told once, in a frame. */
export class View {
  constructor() {
    /** @type {[number, number]} all there is, in seconds */
    this.full = [0, 1];
    /** @type {[number, number] | null} what is zoomed to; null shows all, and keeps up with a live run */
    this.range = null;
    /** @type {number | null} the moment pointed at, in seconds */
    this.cursor = null;
    /** The chart that is being pointed at; the others show the moment without the values. */
    this.owner = null;
    this.least = 1;
    this.watchers = { range: new Set(), cursor: new Set() };
    this.due = new Set();
  }

  /** Calls `watcher` when `what` ("range" or "cursor") changes. Answers how to stop that. */
  watch(what, watcher) {
    this.watchers[what].add(watcher);
    return () => this.watchers[what].delete(watcher);
  }

  tell(what) {
    if (this.due.size === 0)
      requestAnimationFrame(() => {
        const due = [...this.due];
        this.due.clear();
        for (const each of due) for (const watcher of this.watchers[each]) watcher();
      });
    this.due.add(what);
  }

  /** The seconds that are shown. */
  shown() {
    return this.range ?? this.full;
  }

  /** All there is; called with each new document. `least` is the shortest time worth zooming to. */
  setFull(end, least) {
    this.full = [0, Math.max(end, least, 0.1)];
    this.least = Math.min(least * 2, this.full[1]);
    if (this.range && this.range[0] >= this.full[1]) this.zoom(null);
  }

  /** Shows a part of time only; null shows all. Keeps within what there is. */
  zoom(range) {
    let next = null;
    if (range) {
      let [from, to] = range[0] <= range[1] ? range : [range[1], range[0]];
      const width = Math.min(Math.max(to - from, this.least), this.full[1]);
      const middle = (from + to) / 2;
      from = Math.min(Math.max(middle - width / 2, 0), this.full[1] - width);
      to = from + width;
      if (from > 1e-6 || to < this.full[1] - 1e-6) next = [from, to];
    }
    if (String(next) === String(this.range)) return;
    this.range = next;
    this.tell("range");
  }

  /** Zooms around a moment: a factor below 1 shows less. */
  zoomBy(factor, around) {
    const [from, to] = this.shown();
    const centre = around ?? (from + to) / 2;
    this.zoom([centre - (centre - from) * factor, centre + (to - centre) * factor]);
  }

  /** Points at a moment, or at none (null). */
  point(seconds, owner) {
    if (seconds === null && owner !== undefined && this.owner !== owner) return;
    if (this.cursor === seconds && this.owner === owner) return;
    this.cursor = seconds;
    this.owner = seconds === null ? null : owner;
    this.tell("cursor");
  }
}

const THEMES = ["auto", "light", "dark"];
const THEME_KEY = "loadr-theme";

/** The theme that was chosen before, where the browser remembers such things; else "auto". */
export function rememberedTheme() {
  try {
    const kept = localStorage.getItem(THEME_KEY);
    return THEMES.includes(kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

/** Sets the theme of the page, and remembers it where that is allowed. */
export function applyTheme(theme) {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
  try {
    if (theme === "auto") localStorage.removeItem(THEME_KEY);
    else localStorage.setItem(THEME_KEY, theme);
  } catch {
    // A page of a file, or a private window: the choice holds until it is closed.
  }
}

/** The theme after this one. */
export function nextTheme(theme) {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
}
