// The head of a host's page: who it is, its CPUs, memory and pressure.
import { byId, fit, make, mark, say } from "./dom.js";
import { number, percent, plain, size, uptime } from "./format.js";

const cpuParts = [
  ["user", (t) => t.user], ["nice", (t) => t.nice], ["system", (t) => t.system],
  ["irq", (t) => (t.irq ?? 0) + (t.softirq ?? 0)], ["steal", (t) => t.steal], ["iowait", (t) => t.iowait],
];
export const busy = (t) => Math.min(Math.max(1 - t.idle - t.iowait, 0), 1);

// bar is shares of one thing, side by side.
class Bar {
  constructor(parts) {
    this.segments = parts.map(([name]) => make("i", { class: "p-" + name }));
    this.box = make("div", { class: "bar", "aria-hidden": "true" }, ...this.segments);
  }

  show(shares) {
    let left = 1;
    this.segments.forEach((e, i) => {
      const share = Math.min(Math.max(Number(shares[i]) || 0, 0), left);
      left -= share;
      const width = `${(share * 100).toFixed(1)}%`;
      if (e.wide !== width) e.style.width = e.wide = width;
    });
  }
}

// figures is a list of names and values.
function figures(box, all) {
  fit(box, all.filter(Boolean), () => make("span", {}, make("i"), make("b")), (e, [name, value, high]) => {
    say(e.firstChild, name);
    say(e.lastChild, value);
    mark(e, "data-look", high ? "much" : null);
  });
}

export class Vitals {
  constructor() {
    this.total = new Bar(cpuParts);
    this.totalText = make("b", { class: "big" });
    this.parts = make("p", { class: "figures keyed" });
    this.cores = make("div", { class: "cores", role: "list", "aria-label": "CPU cores" });
    byId("cpu").append(make("div", { class: "total" }, this.totalText, this.total.box), this.parts, this.cores);
    this.memory = new Bar([["user"], ["cache"]]);
    this.swap = new Bar([["steal"]]);
    this.memoryText = make("b");
    this.swapText = make("b");
    this.swapLine = make("div", { class: "meter" }, make("span", {}, "Swap"), this.swap.box, this.swapText);
    this.memoryParts = make("p", { class: "figures keyed" });
    this.pressure = make("div", { class: "pressure" });
    byId("memory").append(
      make("div", { class: "meter" }, make("span", {}, "Memory"), this.memory.box, this.memoryText),
      this.memoryParts, this.swapLine, this.pressure);
  }

  show(s) {
    const { host, tasks } = s;
    say(byId("name"), plain(host.name ?? "", 80) || "this machine");
    figures(byId("facts"), [
      ["", [host.os, host.kernel && `Linux ${host.kernel}`].filter(Boolean).map((t) => plain(t, 80)).join(", ")],
      ["", `${host.cpus ?? "?"} × ${plain(host.model || "CPU", 80)}`],
      ["up", uptime(s.at - Date.parse(host.boot) / 1000)],
      ["load", [0, 1, 2].map((i) => number(s.load[i], 2)).join(" ")],
      ["tasks", number(tasks.processes)], ["thr", number(tasks.threads)], ["run", number(tasks.running)],
      tasks.blocked > 0 && ["blocked", number(tasks.blocked), true],
      tasks.zombie > 0 && ["zombie", number(tasks.zombie), true],
      ["ctx/s", size(tasks.context_switches)], ["forks/s", size(tasks.forks)],
    ]);
    this.cpu(s.cpu);
    this.mem(s);
  }

  cpu({ total, cores }) {
    say(this.totalText, percent(busy(total)) + "%");
    this.total.show(cpuParts.map(([, of]) => of(total)));
    figures(this.parts, [
      ...cpuParts.map(([name, of]) => [name, percent(of(total)), (name === "steal" || name === "iowait") && of(total) >= 0.1]),
      ["guest", percent(total.guest)],
    ]);
    this.parts.childNodes.forEach((e, i) => mark(e, "data-part", cpuParts[i]?.[0]));
    mark(this.cores, "data-many", cores.length > 32 ? "" : null);
    fit(this.cores, cores, () => this.core(), (e, t, i) => {
      e.bar.show(cpuParts.map(([, of]) => of(t)));
      const text = percent(busy(t));
      say(e.firstChild, String(i));
      say(e.lastChild, text);
      const extra = [["wait", t.iowait], ["steal", t.steal]].filter(([, v]) => v >= 0.001).map(([n, v]) => `, ${n} ${percent(v)}%`).join("");
      const all = `CPU ${i}: ${text}%${extra}; ` + cpuParts.slice(0, 4).map(([n, of]) => `${n} ${percent(of(t))}`).join(", ");
      mark(e, "title", all);
      mark(e, "aria-label", all);
    });
  }

  core() {
    const bar = new Bar(cpuParts);
    const e = make("div", { class: "core", role: "listitem" }, make("span"), bar.box, make("b"));
    e.bar = bar;
    return e;
  }

  mem({ memory: m, swap, pressure }) {
    const used = m.total - Math.min(m.available, m.total);
    const cache = Math.max(m.available - Math.min(m.free, m.available), 0);
    this.memory.show([used / m.total, cache / m.total]);
    say(this.memoryText, `${size(used)}/${size(m.total)}`);
    figures(this.memoryParts, [
      ["used", size(used)], ["cache", size(cache)], ["free", size(m.free)], ["shared", size(m.shared)], ["slab", size(m.slab)], ["dirty", size(m.dirty)],
    ]);
    ["user", "cache"].forEach((name, i) => mark(this.memoryParts.children[i], "data-part", name));
    this.swapLine.hidden = !(swap.total > 0);
    if (swap.total > 0) {
      const swapped = swap.total - Math.min(swap.free, swap.total);
      this.swap.show([swapped / swap.total]);
      const moves = swap.in + swap.out > 0 ? ` in ${size(swap.in)} out ${size(swap.out)}` : "";
      say(this.swapText, `${size(swapped)}/${size(swap.total)}${moves}`);
    }
    this.stalls(pressure);
  }

  stalls(pressure) {
    const all = pressure ? [["cpu", pressure.cpu], ["mem", pressure.memory], ["io", pressure.io]] : [];
    this.pressure.hidden = all.length === 0;
    const create = () => {
      const bar = new Bar([["iowait"]]);
      const e = make("div", { class: "meter", title: "share of the last 10 s in which some, or all, tasks waited for it (PSI)" }, make("span"), bar.box, make("b"));
      e.bar = bar;
      return e;
    };
    fit(this.pressure, all, create, (e, [name, stall]) => {
      e.bar.show([stall.some10]);
      say(e.firstChild, "psi " + name);
      say(e.lastChild, percent(stall.some10) + (name === "cpu" ? "" : ` / ${percent(stall.full10)}`));
      mark(e, "data-look", stall.some10 >= 0.1 ? "much" : null);
    });
  }
}
