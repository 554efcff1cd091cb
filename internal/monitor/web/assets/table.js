// A table that is sorted by any column, filtered, a tree if its rows have parents, and
// of which only the rows in sight are in the page.
import { make, mark, say } from "./dom.js";
import { plain } from "./format.js";

// A column is {id, title, about, width, rank, text, kind, order, most, bar, look}.
// text(row) is what the cell says; kind is "text" or a number's; order(a, b) compares,
// by value(row) if that is there instead; href(row) makes a link of the cell, draw(canvas, row) a picture; most says that the largest stands first; rank
// is who goes first where there is no room; bar(row) is a share drawn behind the text.

const plenty = 60; // so many rows are all in the page, so that a search of the browser finds them
const extra = 6; // rows above and below what is in sight

export class Table {
  // options: {mount, name, columns, id(row), matches(row, text), sort, few, open(row),
  // empty, parent(row)}
  constructor(options) {
    // known says that there were rows to show, be it none: before that nothing is said.
    Object.assign(this, { rows: [], all: [], depth: [], known: false, filter: "", tree: false, every: false, chosen: null, ...options });
    this.by = this.columns.find((c) => c.id === this.sort) ?? this.columns[0];
    this.reverse = false;
    for (const c of this.columns) {
      c.order ??= (a, b) => compare(c.value(a), c.value(b));
      c.text ??= (row) => plain(c.value(row));
    }
    this.build();
    addEventListener("scroll", () => this.later(), { passive: true });
    addEventListener("resize", () => this.later(), { passive: true });
  }

  build() {
    this.heads = this.columns.map((c) => {
      const button = make("button", { type: "button", title: c.about, onclick: () => this.sortBy(c) }, c.title);
      return make("th", { scope: "col", class: classOf(c), "data-column": c.id }, button);
    });
    this.body = make("tbody");
    this.above = make("tr", { class: "space", "aria-hidden": "true" });
    this.below = make("tr", { class: "space", "aria-hidden": "true" });
    this.body.append(this.above, this.below);
    const cols = this.columns.map((c) => make("col", { class: classOf(c) + " w-" + (c.width ?? "rest") }));
    this.table = make("table", { class: "data", "aria-label": this.name },
      make("colgroup", {}, ...cols), make("thead", {}, make("tr", {}, ...this.heads)), this.body);
    this.none = make("p", { class: "none", hidden: true });
    this.more = make("button", { type: "button", class: "more", hidden: true, onclick: () => this.toggle() });
    this.mount.append(this.table, this.none, this.more);
    this.pool = [];
    // What is opened is what was there when the pointer went down, whatever moves since.
    this.body.addEventListener("pointerdown", (e) => (this.held = this.rowOf(e.target)));
    this.body.addEventListener("click", (e) => e.target.closest("a") || this.opened(this.held ?? this.rowOf(e.target)));
    this.body.addEventListener("keydown", (e) => this.key(e));
    // What is cut off stands in full under the pointer.
    this.body.addEventListener("pointerover", ({ target: e }) => e.matches("td > *") && mark(e, "title", e.scrollWidth > e.clientWidth ? e.textContent : null));
    this.body.addEventListener("focusin", (e) => {
      const row = this.rowOf(e.target);
      if (row) this.chosen = this.id(row);
    });
  }

  // tools adds a field for the filter, and a button for the tree, to a header.
  tools(header, words) {
    const input = make("input", {
      type: "search", placeholder: words, "aria-label": words, spellcheck: "false", autocapitalize: "off",
      oninput: () => this.find(input.value),
    });
    this.count = make("span", { class: "count dim" });
    header.append(this.count, input);
    if (this.parent) {
      const tree = make("button", { type: "button", class: "toggle", "aria-pressed": "false" }, "tree");
      tree.addEventListener("click", () => {
        this.tree = !this.tree;
        mark(tree, "aria-pressed", String(this.tree));
        this.arrange();
      });
      header.append(tree);
    }
    this.input = input;
  }

  find(text) {
    this.filter = text.trim().toLowerCase();
    this.arrange();
  }

  sortBy(column) {
    this.reverse = column === this.by && !this.reverse;
    this.by = column;
    this.arrange();
  }

  // largest sorts by a column, by its name, the largest first.
  largest(id) {
    this.by = this.columns.find((c) => c.id === id) ?? this.by;
    this.reverse = false;
  }

  toggle() {
    this.every = !this.every;
    this.draw();
    if (!this.every) this.mount.scrollIntoView({ block: "nearest" });
  }

  opened(row) {
    this.held = null;
    if (row && this.open && !getSelection()?.toString()) this.open(row);
  }

  rowOf(target) {
    const tr = target.closest?.("tr");
    return tr && tr.at !== undefined ? this.rows[tr.at] : null;
  }

  update(all) {
    this.all = all;
    this.known = true;
    this.arrange();
  }

  arrange() {
    const down = Boolean(this.by.most) !== this.reverse ? -1 : 1;
    const { order } = this.by;
    const of = this.filter ? this.all.filter((r) => this.matches(r, this.filter)) : [...this.all];
    of.sort((a, b) => down * order(a, b) || compare(this.tie(a), this.tie(b)));
    this.depth = [];
    this.rows = this.tree ? this.grow(of) : of;
    this.heads.forEach((th, i) => {
      const own = this.columns[i] === this.by;
      mark(th, "aria-sort", own ? (down < 0 ? "descending" : "ascending") : null);
    });
    this.draw();
  }

  tie(row) {
    return this.id(row);
  }

  // grow puts children under their parents, siblings in order. What has no parent among
  // the rows is a root; rows in a circle, which only a lying source has, come last.
  grow(rows) {
    const known = new Map(rows.map((r) => [r.pid, r]));
    const under = new Map();
    const roots = [];
    for (const r of rows) {
      const parent = known.get(this.parent(r));
      if (!parent || parent === r) roots.push(r);
      else if (under.has(parent)) under.get(parent).push(r);
      else under.set(parent, [r]);
    }
    const out = [];
    const placed = new Set();
    const descend = (from) => {
      const stack = [[from, 0]];
      while (stack.length > 0) {
        const [r, depth] = stack.pop();
        if (placed.has(r)) continue;
        placed.add(r);
        out.push(r);
        this.depth.push(depth);
        for (const child of (under.get(r) ?? []).toReversed()) stack.push([child, depth + 1]);
      }
    };
    roots.forEach(descend);
    if (out.length < rows.length) rows.forEach(descend);
    return out;
  }

  later() {
    if (this.shown <= plenty) return; // they are all in the page
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    if (!this.known) return;
    const total = this.every || this.filter ? this.rows.length : Math.min(this.rows.length, this.few ?? Infinity);
    const height = parseFloat(getComputedStyle(this.table).getPropertyValue("--row")) || 28;
    const top = this.body.getBoundingClientRect().top;
    const all = total <= plenty;
    const from = all ? 0 : Math.min(Math.max(Math.floor(-top / height) - extra, 0), total);
    const to = all ? total : Math.min(Math.max(Math.ceil((innerHeight - top) / height) + extra, from), total);
    this.above.style.height = `${from * height}px`;
    this.below.style.height = `${(total - to) * height}px`;
    this.above.hidden = from === 0;
    this.below.hidden = to === total;
    const focused = this.body.contains(document.activeElement);
    this.fill(from, to);
    if (focused) this.follow();
    mark(this.table, "aria-rowcount", total + 1);
    this.words(total);
  }

  words(total) {
    const { length } = this.rows;
    this.table.hidden = length === 0;
    this.none.hidden = length > 0;
    if (length === 0) say(this.none, this.filter ? `Nothing has “${this.filter}” in it.` : this.empty ?? "There are none.");
    this.more.hidden = this.filter !== "" || length <= (this.few ?? Infinity);
    if (!this.more.hidden) say(this.more, this.every ? `show the first ${this.few}` : `show all ${length}`);
    if (this.count) say(this.count, this.filter ? `${length} of ${this.all.length}` : String(this.all.length));
    this.shown = total;
  }

  fill(from, to) {
    while (this.pool.length > to - from) this.pool.pop().remove();
    while (this.pool.length < to - from) {
      const tr = this.row();
      this.below.before(tr);
      this.pool.push(tr);
    }
    this.pool.forEach((tr, i) => this.show(tr, from + i));
  }

  row() {
    const tr = make("tr", { tabindex: this.open ? "-1" : null });
    tr.spans = this.columns.map((c) => {
      const span = make(c.draw ? "canvas" : c.href ? "a" : "span");
      tr.append(make("td", { class: classOf(c) }, span));
      return span;
    });
    return tr;
  }

  show(tr, at) {
    const row = this.rows[at];
    tr.at = at;
    mark(tr, "aria-rowindex", at + 2);
    const id = this.id(row);
    mark(tr, "data-id", id);
    if (this.open) mark(tr, "tabindex", id === this.chosen || (this.chosen === null && at === 0) ? "0" : "-1");
    mark(tr, "data-look", this.look?.(row) || null);
    this.columns.forEach((c, i) => {
      const span = tr.spans[i];
      if (c.draw) c.draw(span, row);
      else say(span, c.text(row));
      if (c.href) mark(span, "href", c.href(row));
      const cell = span.parentNode;
      if (c.bar) {
        const share = c.bar(row);
        cell.style.setProperty("--part", `${Math.round(Math.min(Math.max(share || 0, 0), 1) * 1000) / 10}%`);
      }
      if (c.look) mark(cell, "data-look", c.look(row) || null);
      if (c.kind === "text" && !c.width) cell.style.setProperty("--depth", Math.min(this.depth[at] ?? 0, 16));
    });
  }

  // follow keeps the focus on the row that it was on, wherever it has gone.
  follow() {
    const tr = this.pool.find((r) => r.dataset.id === String(this.chosen));
    if (tr && tr !== document.activeElement) tr.focus({ preventScroll: true });
  }

  key(e) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity }[e.key];
    const at = this.rows.findIndex((r) => this.id(r) === this.chosen);
    if (step !== undefined) {
      e.preventDefault();
      const to = Math.min(Math.max(at + step, 0), this.shown - 1);
      if (this.rows[to]) this.choose(to);
    } else if ((e.key === "Enter" || e.key === " ") && at >= 0) {
      e.preventDefault();
      this.opened(this.rows[at]);
    }
  }

  choose(at) {
    this.chosen = this.id(this.rows[at]);
    const height = parseFloat(getComputedStyle(this.table).getPropertyValue("--row")) || 28;
    const y = this.body.getBoundingClientRect().top + at * height;
    const low = document.querySelector(".top")?.getBoundingClientRect().bottom ?? 0;
    if (y < low + height) scrollBy(0, y - low - 2 * height);
    else if (y > innerHeight - 2 * height) scrollBy(0, y - innerHeight + 3 * height);
    this.draw();
    this.pool.find((r) => r.at === at)?.focus({ preventScroll: true });
  }
}

const classOf = (c) => `${c.kind === "text" ? "text" : "figure"} r${c.rank ?? 0} is-${c.id}`;

const plainly = (v, otherwise) => (typeof v === "string" || typeof v === "number" ? v : otherwise);

export function compare(a, b) {
  if (typeof a === "string" || typeof b === "string") {
    a = plainly(a, "");
    b = plainly(b, "");
    return a < b ? -1 : a > b ? 1 : 0;
  }
  return (Number(plainly(a, 0)) || 0) - (Number(plainly(b, 0)) || 0);
}

// panel makes a card with a table.
export function panel(parent, title, options) {
  const mount = make("section", { class: "card", "aria-label": title }, make("header", {}, make("h2", {}, title)));
  parent.append(mount);
  return new Table({ mount, name: title, ...options });
}

