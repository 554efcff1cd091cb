// The charts of the page, with what they show at the time that is chosen.
import { Chart, sparkline } from "./chart.js";
import { chooser, cpuChart, diskChart, disks, links, memoryChart, networkChart } from "./charts.js";

export class Graphs {
  constructor({ past, live, times, mount }) {
    Object.assign(this, { past, live, times, mount, charts: [], chosen: {} });
    this.diskChoice = chooser("Disks", (name) => this.choose("disk", name));
    this.linkChoice = chooser("Interfaces", (name) => this.choose("link", name));
  }

  sample(s, first) {
    const names = { disk: disks(s), link: links(s) };
    if (first || names.disk.join() !== this.names?.disk.join() || names.link.join() !== this.names?.link.join()) {
      this.names = names;
      this.diskChoice.offer(names.disk, s.disks.map((d) => d.name));
      this.linkChoice.offer(names.link, s.interfaces.map((i) => i.name));
      this.build();
    }
    this.now = s.at;
    if (this.times.live && !document.hidden) for (const c of this.charts) this.draw(c);
  }

  choose(which, name) {
    this.chosen[which] = name;
    this.build();
  }

  // build makes the charts of the host; those of details stay.
  build() {
    if (!this.names) return;
    const { disk, link } = this.chosen;
    const wanted = [
      cpuChart(), memoryChart(),
      { ...diskChart(disk ? [disk] : this.names.disk), extra: [this.diskChoice] },
      { ...networkChart(link ? [link] : this.names.link), extra: [this.linkChoice] },
    ];
    const old = this.charts.filter((c) => c.host);
    wanted.forEach((definition, i) => {
      if (!old[i]) this.make(definition, this.mount).host = true;
      else if (old[i].definition.fields.join() !== definition.fields.join()) {
        old[i].definition = definition;
        this.load(old[i]);
      }
    });
  }

  make(definition, mount) {
    const chart = new Chart(definition, {
      mount,
      pick: (at, c) => this.pick(at, c),
      range: (from, to, c) => this.zoom(from, to, c),
    });
    this.charts.push(chart);
    const { remove } = chart;
    chart.remove = () => {
      clearTimeout(chart.timer);
      chart.stop?.abort();
      this.charts = this.charts.filter((c) => c !== chart);
      remove.call(chart);
    };
    this.load(chart);
    return chart;
  }

  // add makes further charts, which end when they are removed.
  add(definitions, mount) {
    return definitions.map((d) => this.make(d, mount));
  }

  changed() {
    for (const c of this.charts) {
      c.look(this.times.record?.at ?? null);
      this.load(c);
    }
  }

  // load gets a chart what is kept of its time, and again when there is more.
  async load(chart) {
    clearTimeout(chart.timer);
    chart.stop?.abort();
    const { range, from: since } = this.times;
    if (chart.shows !== range || chart.since !== since) Object.assign(chart, { kept: null, shows: range, since });
    if (!this.past.tiers) {
      chart.kept = null;
      this.draw(chart);
      return;
    }
    const stop = (chart.stop = new AbortController());
    const { from, to } = this.times.bounds();
    const step = this.times.stepSeconds;
    try {
      const kept = await this.past.columns(chart.definition.fields, from, to, step, stop.signal);
      if (stop.signal.aborted) return;
      chart.kept = { ...kept, from, to };
      chart.step = step;
      this.draw(chart);
      chart.card.removeAttribute("data-problem");
    } catch (e) {
      if (stop.signal.aborted) return;
      chart.card.setAttribute("data-problem", e.message);
    }
    if (!this.times.live && !this.times.from) chart.timer = setTimeout(() => this.load(chart), Math.max(step, 5) * 1000);
  }

  draw(chart) {
    let { from, to } = chart.kept ?? {};
    if (this.times.live) {
      to = this.now ?? Date.now() / 1000;
      from = to - this.live.seconds;
      chart.draw(this.both(chart), from, to);
    } else if (chart.kept) {
      chart.draw(chart.kept, from, to);
    } else {
      return;
    }
    Object.assign(document.body.dataset, { charts: this.times.from ? "custom" : this.times.range, from, to });
  }

  // both are the points that came by, and before and between them what is kept.
  both(chart) {
    const { fields } = chart.definition;
    const { points } = this.live;
    const own = Object.fromEntries(fields.map((f) => [f, this.live.column(f)]));
    const kept = chart.kept;
    if (!kept || kept.times.length === 0) return { times: points.map((p) => p.at), values: own };
    const times = [], values = Object.fromEntries(fields.map((f) => [f, []]));
    const put = (at, from, i) => {
      times.push(at);
      for (const f of fields) values[f].push(from[f]?.[i] ?? null);
    };
    let k = 0;
    points.forEach((p, i) => {
      const before = points[i - 1]?.at ?? -Infinity;
      for (; k < kept.times.length && kept.times[k] < p.at - 1; k++) if (kept.times[k] > before + 1) put(kept.times[k], kept.values, k);
      put(p.at, own, i);
    });
    return { times, values };
  }

  // trends gets what is kept of machines' CPUs, for the pictures in their rows.
  async trends(machines) {
    if (!this.past.tiers) return;
    const fields = machines.slice(0, 64).map((m) => `machines[${m.id}].cpu`);
    const { from, to } = this.times.last(this.live.seconds);
    try {
      this.kept = await this.past.columns(fields, from, to, 10);
    } catch {
      // Then they begin now.
    }
  }

  trend(canvas, id) {
    const field = `machines[${id}].cpu`;
    const c = this.both({ kept: this.kept?.values[field] && this.kept, definition: { fields: [field] } });
    sparkline(canvas, { times: c.times, values: c.values[field] }, this.now - this.live.seconds, this.now);
  }

  // pick shows what was when the chart was highest, in the step from a time on.
  async pick(at, chart) {
    if (!this.past.tiers) return;
    const step = this.times.live ? 1 : (chart.step ?? 1);
    const fields = [chart.definition.spike].flat();
    let found = { at, step };
    try {
      if (step > 1) found = await this.past.spike(fields, at, step);
    } catch {
      // Then it is that step as a whole.
    }
    this.times.look(found.at, found.step);
  }

  // zoom shows a range, and what was at its highest point.
  async zoom(from, to, chart) {
    if (!this.past.tiers) return;
    const fields = [chart.definition.spike].flat();
    let found = null;
    try {
      found = await this.past.spike(fields, from, Math.max(to - from, 2));
    } catch {
      // There is the range still.
    }
    this.times.go({ from, to, at: found?.at ?? null, resolution: found?.step ?? 1 });
  }
}
