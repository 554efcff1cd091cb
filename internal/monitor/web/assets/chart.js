// Charts over time, by uPlot. A chart is defined by fields of history
// (docs/monitor-history.md) and lines made of them; live points answer to the same names.
import { make, mark, say } from "./dom.js";
import { clock, day, percent, size } from "./format.js";

/* global uPlot */

const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");

// Live keeps the last points of a host: what charts read of samples, not the processes.
export class Live {
  constructor(seconds = 600) {
    Object.assign(this, { seconds, points: [] });
  }

  add(s) {
    const { points } = this;
    const named = (list, key) => Object.fromEntries(list.map((x) => [key(x), x]));
    // A clock that was set back makes a new start.
    if (points.length > 0 && s.at <= points.at(-1).at) points.length = 0;
    const last = points.at(-1);
    // Nothing is known between: no line may lead over it.
    if (last && s.at - last.at > 3 * Math.max(s.interval, 1)) points.push({ at: last.at + 0.5, rates: false });
    points.push({
      at: s.at, cpu: s.cpu.total, memory: s.memory, swap: s.swap,
      disks: named(s.disks, (d) => d.name), interfaces: named(s.interfaces, (i) => i.name), machines: named(s.machines, (m) => m.id),
      rates: s.interval > 0,
    });
    let old = 0;
    while (points[old].at < s.at - this.seconds) old++;
    if (old > 0) points.splice(0, old);
  }

  // column is a field at each point.
  column(field) {
    const [table, key, name] = parts(field);
    return this.points.map((p) => {
      if (!p.rates && table !== "memory" && table !== "swap") return null;
      const item = key === null ? p[table] : p[table]?.[key];
      const v = item && (derived[`${table}.${name}`]?.(item) ?? item[name]);
      return typeof v === "number" && v >= 0 ? v : null;
    });
  }
}

const derived = {
  "cpu.busy": (t) => Math.min(Math.max(1 - t.idle - t.iowait, 0), 1),
  "memory.used": (m) => m.total - Math.min(m.available, m.total),
};

// parts of table.name or table[key].name; keys may have anything in them.
function parts(field) {
  const from = field.indexOf("[");
  if (from < 0) return [...field.split(".", 1), null, field.slice(field.indexOf(".") + 1)];
  const to = field.lastIndexOf("].");
  return [field.slice(0, from), field.slice(from + 1, to), field.slice(to + 2)];
}

const kinds = {
  percent: { text: (v) => percent(v) + "%", tick: (v) => `${Math.round(v * 1000) / 10}%`, least: 0.05 },
  bytes: { text: size, least: 1024 },
  rate: { text: (v) => size(v) + "/s", least: 10240 },
};

// Chart draws {title, kind, fields, lines: [{label, colour, of(get), stack, peak}], most(get)}.
// get(field) is the field's value at a point; of a peak its largest in the period.
export class Chart {
  // options: {mount, pick(at, chart), range(from, to, chart)}
  constructor(definition, options) {
    Object.assign(this, { definition, ...options, at: null, rows: [] });
    this.title = make("h3", {}, definition.title);
    this.legend = make("ul", { class: "legend" });
    this.area = make("div", { class: "area", tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-label": definition.title, onkeydown: (e) => this.key(e) });
    this.card = make("figure", { class: "card chart" }, make("figcaption", {}, this.title, ...(definition.extra ?? [])), this.area, this.legend);
    this.mount.append(this.card);
    this.entries = definition.lines.map((line) => {
      const value = make("b");
      const swatch = make("i", { class: line.stack || line.peak ? "fill" : "line", "data-colour": line.colour });
      this.legend.append(make("li", {}, swatch, line.label + " ", value));
      return value;
    });
    this.sized = new ResizeObserver(() => this.resize());
    this.sized.observe(this.area);
    this.schemed = () => this.plot?.redraw(false);
    dark.addEventListener("change", this.schemed);
  }

  remove() {
    this.sized.disconnect();
    dark.removeEventListener("change", this.schemed);
    this.plot?.destroy();
    this.plot = null;
    this.card.remove();
  }

  resize() {
    const width = Math.floor(this.area.clientWidth);
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: this.area.clientHeight });
  }

  // draw shows columns by field (values and peaks) at times, of the range from to.
  draw({ times, values, peaks }, from, to) {
    const { lines, most } = this.definition;
    let i = 0;
    const get = (field) => values[field]?.[i] ?? null;
    get.peak = (field) => peaks?.[field]?.[i] ?? null;
    this.raw = lines.map(() => new Array(times.length));
    let top = 0;
    for (i = 0; i < times.length; i++) {
      lines.forEach((line, k) => {
        const v = line.of(line.peak ? get.peak : get);
        this.raw[k][i] = Number.isFinite(v) && v >= 0 ? v : null;
      });
      if (most) top = Math.max(top, most(get) || 0);
    }
    this.from = from;
    this.to = to;
    this.top = top;
    this.times = times;
    this.show([times, ...this.stacked()]);
  }

  // stacked adds up the lines that lie on each other.
  stacked() {
    const { lines } = this.definition;
    let below = null;
    return lines.map((line, k) => {
      if (!line.stack) return this.raw[k];
      below = this.raw[k].map((v, i) => (v === null ? null : v + (below?.[i] ?? 0)));
      return below;
    });
  }

  show(data) {
    // What lies on others is drawn before them.
    const order = this.order();
    const sorted = [data[0], ...order.map((k) => data[k + 1])];
    if (!this.plot) this.make(sorted);
    else this.plot.setData(sorted, true);
    this.values();
  }

  order() {
    const { lines } = this.definition;
    const all = lines.map((_, k) => k);
    return [...all.filter((k) => lines[k].peak), ...all.filter((k) => lines[k].stack).reverse(), ...all.filter((k) => !lines[k].stack && !lines[k].peak)];
  }

  make(data) {
    const { lines, kind } = this.definition;
    const axis = { stroke: () => colour("--dim"), grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const series = this.order().map((k) => {
      const line = lines[k];
      const filled = line.stack || line.peak;
      return {
        stroke: () => (line.stack ? "transparent" : colour(line.colour)), fill: filled ? () => colour(line.colour) : undefined,
        width: line.stack ? 0 : line.peak ? 1 : 2, points: { show: false }, spanGaps: false,
        paths: filled ? uPlot.paths.stepped({ align: 1 }) : undefined,
      };
    });
    this.plot = new uPlot({
      width: Math.max(Math.floor(this.area.clientWidth), 50), height: this.area.clientHeight || 150,
      legend: { show: false }, padding: [8, 16, 0, 0],
      cursor: { sync: { key: "time", filters: { pub: (type) => type !== "mousedown" && type !== "mouseup" } }, y: false, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: 8 } },
      scales: {
        x: { time: true, range: () => [this.from, this.to] },
        y: { range: (_, __, high) => [0, this.top || Math.max((high || 0) * 1.08, kinds[kind].least)] },
      },
      axes: [
        { ...axis, space: 60, size: 26, values: (_, splits, __, ___, step) => ticks(splits, step) },
        { ...axis, size: 52, space: 28, values: (_, splits) => splits.map(kinds[kind].tick ?? kinds[kind].text), ...(kind === "percent" ? {} : { splits: powers }) },
      ],
      series: [{}, ...series],
      hooks: {
        setCursor: [() => this.values()],
        setSelect: [(u) => this.selected(u)],
        drawClear: [(u) => this.line(u)],
        draw: [(u) => this.arrow(u)],
      },
    }, data, this.area);
    this.plot.over.addEventListener("click", () => this.clicked());
    this.plot.over.addEventListener("mousedown", () => (this.dragged = false));
  }

  // values writes what is under the cursor, or the last of all, into the legend.
  values() {
    const { lines, kind } = this.definition;
    const at = this.plot?.cursor.idx ?? this.lastKnown();
    this.entries.forEach((b, k) => {
      const v = this.raw?.[k]?.[at];
      say(b, v === null || v === undefined ? "-" : kinds[kind].text(v));
      if (lines[k].peak) b.parentNode.hidden = !this.raw?.[k]?.some((x) => x !== null);
    });
    mark(this.area, "aria-label", `${this.title.textContent}: ` + this.entries.map((b, k) => `${lines[k].label} ${b.textContent}`).join(", ") +
      (this.times?.[at] ? `, at ${clock(new Date(this.times[at] * 1000))}` : ""));
  }

  lastKnown() {
    let at = (this.times?.length ?? 0) - 1;
    while (at > 0 && this.raw.every((r) => r[at] === null)) at--;
    return at;
  }

  // place is where the time that the page shows is on the canvas, or null.
  place(u) {
    if (this.at === null || this.at < this.from || this.at > this.to) return null;
    return Math.round(u.valToPos(this.at, "x", true));
  }

  // line marks that time, behind what is drawn: it may be a narrow spike.
  line(u) {
    const x = this.place(u);
    if (x === null) return;
    const { ctx, bbox } = u;
    ctx.fillStyle = colour("--dim");
    ctx.fillRect(x, bbox.top, devicePixelRatio, bbox.height);
  }

  arrow(u) {
    const x = this.place(u);
    if (x === null) return;
    const { ctx, bbox } = u;
    const wing = 5 * devicePixelRatio;
    ctx.fillStyle = colour("--text");
    ctx.beginPath();
    ctx.moveTo(x - wing, bbox.top - wing);
    ctx.lineTo(x + wing, bbox.top - wing);
    ctx.lineTo(x, bbox.top + wing / 2);
    ctx.fill();
  }

  look(at) {
    this.at = at;
    this.plot?.redraw(false);
  }

  selected(u) {
    const { left, width } = u.select;
    if (width < 8) return;
    this.dragged = true;
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.range?.(u.posToVal(left, "x"), u.posToVal(left + width, "x"), this);
  }

  clicked() {
    if (this.dragged || !this.plot) return;
    const { idx } = this.plot.cursor;
    if (idx !== null && idx !== undefined && this.times[idx]) this.pick?.(this.times[idx], this);
  }

  key(e) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[e.key];
    if (step !== undefined && this.plot && this.times.length > 0) {
      e.preventDefault();
      const at = Math.min(Math.max((this.plot.cursor.idx ?? this.lastKnown()) + step, 0), this.times.length - 1);
      this.plot.setCursor({ left: this.plot.valToPos(this.times[at], "x"), top: 10 });
    } else if (e.key === "Enter") {
      this.clicked();
    }
  }
}

// sparkline draws values at times, of the range from to, from 0 to the largest or one CPU.
export function sparkline(canvas, { times, values }, from, to) {
  const width = canvas.clientWidth * devicePixelRatio, height = canvas.clientHeight * devicePixelRatio;
  if (width === 0) return;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const ctx = canvas.getContext("2d");
  ctx.clearRect(0, 0, width, height);
  const top = values.reduce((a, v) => Math.max(a, v ?? 0), 1) * 1.05;
  ctx.beginPath();
  let drawn = false;
  values.forEach((v, i) => {
    if (v === null) {
      drawn = false;
      return;
    }
    const x = ((times[i] - from) / (to - from)) * width, y = height - (v / top) * (height - 2) - 1;
    if (drawn) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
    drawn = true;
  });
  ctx.strokeStyle = colour("--c-blue");
  ctx.lineWidth = 1.3 * devicePixelRatio;
  ctx.stroke();
}

// powers splits an axis of bytes at 1, 2 or 5 times a power of 1024's tenths: round in
// the words of size().
function powers(_u, _axis, low, high) {
  const rough = Math.max(high - low, 1) / 4;
  let unit = 1;
  while (unit * 1024 <= rough) unit *= 1024;
  const step = unit * ([1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1024].find((n) => n * unit >= rough) ?? 1024);
  const out = [];
  for (let v = 0; v <= high; v += step) out.push(v);
  return out;
}

function ticks(splits, step) {
  let before = "";
  return splits.map((v) => {
    const d = new Date(v * 1000);
    if (step >= 86400) return day(d).slice(5);
    const time = step < 60 ? clock(d) : clock(d).slice(0, 5);
    const date = day(d);
    const turn = before !== "" && date !== before;
    before = date;
    return turn ? date.slice(5) : time;
  });
}

