// What is kept: which times there are, charts of a time, and the picture of a moment.
import { ask, whole } from "./feed.js";

const steps = [1, 10, 60, 120, 300, 900, 1800, 3600, 7200, 21600, 86400];

export const stepFor = (seconds) => steps.find((s) => s >= seconds / 600) ?? steps.at(-1);

const iso = (seconds) => new Date(seconds * 1000).toISOString();

export class Past {
  constructor(api) {
    this.api = api + "/history";
    this.unknown = true; // whether history is kept
    this.tiers = null;
  }

  // bounds are the tiers, or null where no history is kept or nobody answers; then why says
  // it in words.
  async bounds() {
    try {
      const { bounds } = await ask(this.api);
      this.tiers = Array.isArray(bounds) ? bounds : [];
      this.unknown = false;
      return this.tiers;
    } catch (e) {
      this.why = e.message;
      this.unknown = e.status !== 404;
      this.tiers = null;
      return null;
    }
  }

  // columns are the fields by name, one value for each time.
  async columns(fields, from, to, step, signal) {
    if (fields.length === 0) return { times: [], values: {}, peaks: {}, step };
    // Records start at whole steps: what is one of them is then one point.
    from = Math.floor(from / step) * step;
    // The server answers with so many fields, and so many points of all together.
    const most = Math.max(Math.min(16, Math.floor((9000 * step) / (to - from))), 1);
    const lines = [];
    let series = null;
    for (let i = 0; i < fields.length; i += most) {
      const query = new URLSearchParams([["from", iso(from)], ["to", iso(to)], ["step", `${step}s`], ...fields.slice(i, i + most).map((f) => ["field", f])]);
      series = await ask(`${this.api}/range?${query}`, signal);
      lines.push(...(Array.isArray(series.lines) ? series.lines : []));
    }
    const start = Date.parse(series.start) / 1000;
    const length = Math.max(0, ...lines.map((l) => l.values?.length ?? 0));
    const column = (of) => Object.fromEntries(lines.map((l) => [l.field, (l[of] ?? []).map((v) => (v === null || v < 0 ? null : v))]));
    return { times: Array.from({ length }, (_, i) => start + i * series.step), values: column("values"), peaks: column("peaks"), step: series.step };
  }

  // spike is when, in the step from a time on, a sum of fields was highest, as finely as
  // is known.
  async spike(fields, from, step) {
    let found = { at: from, step };
    for (const finer of [86400, 7200, 1800, 300, 60, 10, 1].filter((s) => s <= step / 4)) {
      const c = await this.columns(fields, found.at, found.at + found.step, finer);
      const height = c.times.map((_, i) => fields.reduce((sum, f) => sum + (c.peaks[f]?.[i] ?? -1), 0));
      const best = height.reduce((b, v, i) => (v > height[b] ? i : b), 0);
      if (!(height[best] >= 0)) break;
      found = { at: c.times[best], step: finer };
    }
    return found;
  }

  // record is the picture of a time; its samples can be shown as live ones are.
  async record(at, step) {
    const query = new URLSearchParams({ time: iso(at), resolution: `${Math.max(Math.round(step), 1)}s` });
    const r = await ask(`${this.api}/at?${query}`);
    return { at: Date.parse(r.time) / 1000, step: Number(r.step) || 1, sample: whole(r.sample), peak: r.peak ? whole(r.peak) : null };
  }
}
