// A process or a machine in full, with its charts, as long as it is open.
import { byId, fit, make, say } from "./dom.js";
import { machineName, command } from "./columns.js";
import { cpuTime, moment, number, percent, plain, size, uptime } from "./format.js";

const told = (v, words) => (typeof v === "number" && v < 0 ? "not told to this user" : words(v));
const perSecond = (v) => told(v, (x) => size(x) + "/s");

const states = { R: "R: runs", S: "S: sleeps", D: "D: waits for I/O", Z: "Z: has ended, its parent has not asked", T: "T: stopped", t: "t: traced", I: "I: idle" };

function ofProcess(p, s) {
  const parent = s.processes.find((x) => x.pid === p.parent);
  const start = new Date(p.start);
  return [
    ["PID", String(p.pid)], ["command", plain(command(p), 8192)], ["name", plain(p.name)], ["user", plain(p.user)],
    ["state", states[p.state] ?? plain(p.state, 10)], ["started", `${moment(start)}, up ${uptime(s.at - start / 1000)}`],
    ["parent", parent ? `${p.parent} ${plain(command(parent), 120)}` : String(p.parent)],
    ["threads, nice", `${p.threads}, ${p.nice}`],
    ["CPU", `${percent(p.cpu)}% of one CPU, ${cpuTime(p.cpu_time)} in all`],
    ["memory", `${size(p.resident)} resident, ${size(p.virtual)} virtual, ${size(p.shared)} shared`],
    ["disk", `read ${perSecond(p.read_bytes)}, write ${perSecond(p.write_bytes)}`],
    ["network", `rx ${perSecond(p.rx_bytes)}, tx ${perSecond(p.tx_bytes)}`],
    p.machine && ["machine", plain(p.machine)],
  ];
}

function ofMachine(m, s) {
  const own = s.processes.filter((p) => p.machine === m.id).sort((a, b) => b.cpu - a.cpu);
  return [
    ["id", plain(m.id)], ["kind", `${plain(m.kind)}, run by ${plain(m.by)}`], ["state", plain(m.state)], ["PID", String(m.pid)],
    ["CPU", `${percent(m.cpu)}% of one CPU${m.cpus ? `, of ${number(m.cpus, Number.isInteger(m.cpus) ? 0 : 1)} given` : ", no limit"}`],
    m.vcpus.length > 0 && ["vCPUs", m.vcpus.map((v, i) => `${i}: ${percent(v)}%`).join("  ")],
    ["memory", `${size(m.used)} of the host${m.memory ? `, ${size(m.memory)} given` : ", no limit"}`],
    ["disk", `read ${perSecond(m.read_bytes)}, write ${perSecond(m.write_bytes)}`],
    ["network", `rx ${perSecond(m.rx_bytes)}, tx ${perSecond(m.tx_bytes)}, as it sees them`],
    m.interfaces.length > 0 && ["host's ends", plain(m.interfaces.join(" "))],
    ["processes", `${m.processes}` + (own.length > 0 ? `: ${own.slice(0, 8).map((p) => `${p.pid} ${plain(p.name, 40)} ${percent(p.cpu)}%`).join(", ")}` : "")],
  ];
}

export class Details {
  // draw(charts, mount) makes charts of definitions; each can be removed.
  constructor(draw) {
    this.drawCharts = draw;
    this.dialog = byId("details");
    this.title = make("h2", { id: "h-details" });
    this.note = make("p", { class: "note", hidden: true });
    this.list = make("dl");
    this.charts = make("div", { class: "charts" });
    const close = make("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => this.dialog.close() }, "✕");
    this.dialog.append(make("header", {}, this.title, close), this.note, this.list, this.charts);
    // It may be open again by the time that the browser tells.
    this.dialog.addEventListener("close", () => this.dialog.open || this.end());
    this.dialog.addEventListener("click", (e) => e.target === this.dialog && this.dialog.close());
  }

  end() {
    this.drawn?.forEach((c) => c.remove());
    this.drawn = [];
    this.find = null;
  }

  process(p, sample, charts) {
    const same = (x) => x.pid === p.pid && x.start === p.start;
    this.open(`${plain(p.name, 60)} ${p.pid}`, (s) => s.processes.find(same), ofProcess, sample, charts, "It has ended, or is not among those that were kept.");
  }

  machine(m, sample, charts) {
    this.open(plain(machineName(m), 80), (s) => s.machines.find((x) => x.id === m.id), ofMachine, sample, charts, "It is not here any more.");
  }

  open(title, find, rows, sample, charts, gone) {
    this.end();
    Object.assign(this, { find, rows, gone });
    say(this.title, title);
    this.show(sample);
    if (!this.dialog.open) this.dialog.showModal();
    this.drawn = this.drawCharts(charts, this.charts);
  }

  show(s) {
    if (!this.find) return;
    const it = this.find(s);
    this.note.hidden = Boolean(it);
    if (!it) {
      say(this.note, this.gone);
      return;
    }
    fit(this.list, this.rows(it, s).filter(Boolean), () => make("div", {}, make("dt"), make("dd")), (e, [name, value]) => {
      say(e.firstChild, name);
      say(e.lastChild, value);
    });
  }
}
