// Which time the page shows: now, a range, a moment. It stands in the address, so that
// it can be sent to others and the back button works.
import { byId, choice, mark, say } from "./dom.js";
import { moment, plain, span } from "./format.js";
import { stepFor } from "./past.js";

const ranges = [["live", "live", 600], ["10m", "10 min", 600], ["1h", "1 h", 3600], ["24h", "24 h", 86400], ["7d", "7 d", 7 * 86400], ["30d", "30 d", 30 * 86400], ["custom", "custom", 0]];
const local = (seconds) => {
  const d = new Date(seconds * 1000);
  return new Date(d - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
};

export class Times {
  // changed({record, error}) is called whenever the page shows another time.
  constructor(past, changed) {
    Object.assign(this, { past, changed, range: "live", at: null, resolution: 1, which: "peak", record: null, offset: 0 });
    this.press = choice(byId("ranges"), ranges.map(([id, words]) => [id, words]), (id) => this.choose(id));
    this.pressWhich = choice(byId("which"), [["peak", "peaks"], ["mean", "means"]], (which) => {
      this.which = which;
      this.tell();
    });
    byId("custom").addEventListener("submit", (e) => {
      e.preventDefault();
      const from = new Date(byId("from").value) / 1000;
      const to = new Date(byId("to").value) / 1000;
      if (from < to) this.go({ from, to, at: null });
      else this.changed({ record: this.record, error: "The end must be after the start." });
    });
    byId("live").addEventListener("click", () => this.go({ range: "live", at: null }));
    byId("before").addEventListener("click", () => this.step(-1));
    byId("after").addEventListener("click", () => this.step(1));
    addEventListener("hashchange", () => this.read());
    this.press("live");
  }

  // offer lets people choose, once it is known what is kept.
  offer() {
    const kept = this.past.tiers !== null;
    byId("ranges").hidden = !kept;
    byId("unkept").hidden = kept;
    mark(document.body, "data-kept", kept ? "yes" : "no");
    if (kept) this.read();
    else say(byId("unkept"), (this.past.unknown ? "history does not answer, trying again: " : "") + plain(this.past.why, 200));
  }

  choose(id) {
    if (id !== "custom") {
      this.go({ range: id, from: null, to: null, at: id === "live" ? null : this.at });
      return;
    }
    const { from, to } = this.bounds();
    byId("from").value = local(from);
    byId("to").value = local(to);
    byId("custom").hidden = !byId("custom").hidden;
  }

  // bounds are the times that charts show.
  bounds() {
    if (this.from) return { from: this.from, to: this.to };
    return this.last(ranges.find(([id]) => id === this.range)?.[2] || 600);
  }

  // last are so many seconds until now, by the host's clock.
  last(seconds) {
    const now = Date.now() / 1000 + this.offset;
    return { from: now - seconds, to: now };
  }

  get live() {
    return this.range === "live" && !this.from;
  }

  get stepSeconds() {
    const { from, to } = this.bounds();
    return stepFor(to - from);
  }

  // look shows a moment, and who was first by a measure.
  look(at, resolution, by = "cpu") {
    this.go({ at, resolution, by });
  }

  step(by) {
    if (this.record) this.look(this.record.at + by * this.record.step + (by > 0 ? 0.001 : -0.001), this.record.step, this.by);
  }

  // go writes what is to be shown into the address, from where it is read.
  go(to) {
    const next = { range: this.range, from: this.from, to: this.to, at: this.at, resolution: this.resolution, by: this.by, ...to };
    const parts = new URLSearchParams();
    if (next.from && to.range === undefined) {
      parts.set("from", new Date(next.from * 1000).toISOString());
      parts.set("to", new Date(next.to * 1000).toISOString());
    } else if (next.range !== "live") {
      parts.set("range", next.range);
    }
    if (next.at) {
      parts.set("at", new Date(next.at * 1000).toISOString());
      parts.set("step", String(next.resolution));
      if (next.by && next.by !== "cpu") parts.set("by", next.by);
    }
    const hash = parts.toString();
    if (hash === location.hash.slice(1)) this.read();
    else location.hash = hash;
  }

  read() {
    const p = new URLSearchParams(location.hash.slice(1));
    const time = (name) => {
      const t = Date.parse(p.get(name) ?? "") / 1000;
      return Number.isFinite(t) ? t : null;
    };
    this.from = time("from");
    this.to = time("to");
    if (!(this.from < this.to)) this.from = this.to = null;
    const range = p.get("range") ?? "live";
    this.range = ranges.some(([id]) => id === range && id !== "custom") ? range : "live";
    this.press(this.from ? "custom" : this.range);
    byId("custom").hidden = !this.from;
    if (this.from) {
      byId("from").value = local(this.from);
      byId("to").value = local(this.to);
    }
    this.at = time("at");
    this.by = p.get("by") ?? "cpu";
    this.resolution = Math.max(Number(p.get("step")) || 1, 1);
    this.open();
  }

  async open() {
    const { at } = this;
    if (at === null || this.past.tiers === null) {
      this.at = null;
      this.record = null;
      this.tell();
      return;
    }
    try {
      const record = await this.past.record(at, this.resolution);
      if (at !== this.at) return; // another was asked for meanwhile
      this.record = record;
      this.tell();
    } catch (e) {
      if (at !== this.at) return;
      this.at = null;
      this.record = null;
      this.tell(`There is no picture of ${moment(new Date(at * 1000))}: ${plain(e.message, 300)}`);
    }
  }

  tell(error) {
    const { record } = this;
    byId("moment").hidden = !record;
    if (record) {
      say(byId("when"), moment(new Date(record.at * 1000)));
      byId("which").hidden = !record.peak;
      this.pressWhich(this.which);
      const words = record.step > 1 ? [`${span(record.step)} from then on`] : [];
      if (this.at - record.at > 2 * record.step + 1) words.push(`nothing was recorded at ${moment(new Date(this.at * 1000))}, this is the last before`);
      words.push("of the processes the busiest were kept");
      say(byId("about"), words.join("; "));
    }
    this.changed({ record, error });
  }
}

