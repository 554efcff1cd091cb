// What the tables show, by the words of `sarn top` and in its units.
import { cpuTime, number, percent, plain, size } from "./format.js";

const words = (id, title, about, width, rank, value) => ({ id, title, about, width, rank, kind: "text", value });
const amount = (id, title, about, rank, value, width = "size") =>
  ({ id, title, about, width, rank, most: true, value, text: (r) => size(value(r)) });
const share = (id, title, about, rank, value) =>
  ({ id, title, about, width: "percent", rank, most: true, value, text: (r) => percent(value(r)) });
const count = (id, title, about, rank, value) =>
  ({ id, title, about, width: "count", rank, most: true, value, text: (r) => plain(value(r)) });

const has = (text, ...of) => of.some((s) => typeof s === "string" && s.toLowerCase().includes(text));

export const command = (p) => p.command || p.name || "";

const rate = (v) => size(v) + "/s";
const sum = (a, b) => Math.max(a, 0) + Math.max(b, 0);

// measures are what processes and machines can be first by: the words, the processes'
// column, how a value is written and which it is.
export const measures = {
  cpu: ["CPU", "cpu", (v) => percent(v) + "%", (x) => x.cpu],
  memory: ["memory", "resident", size, (x) => x.resident ?? x.used],
  io: ["disk", "write", rate, (x) => sum(x.read_bytes, x.write_bytes)],
  net: ["network", "rx", rate, (x) => sum(x.rx_bytes, x.tx_bytes)],
};

export const processColumns = () => [
  { ...count("pid", "PID", "number of the process", 0, (p) => p.pid), most: false, width: "pid" },
  words("user", "USER", "user", "user", 3, (p) => p.user),
  words("state", "S", "state: R runs, S sleeps, D waits for I/O, Z has ended, T is stopped", "state", 3, (p) => p.state),
  count("nice", "NI", "nice value", 6, (p) => p.nice),
  count("threads", "THR", "threads", 5, (p) => p.threads),
  { ...share("cpu", "CPU%", "of one CPU: 300 is three CPUs, all of the time", 0, (p) => p.cpu), bar: (p) => p.cpu },
  { ...amount("cpu_time", "TIME", "CPU time, of threads that have ended too", 4, (p) => p.cpu_time, "time"), text: (p) => cpuTime(p.cpu_time) },
  amount("resident", "RES", "resident memory", 1, (p) => p.resident),
  amount("virtual", "VIRT", "virtual memory", 6, (p) => p.virtual),
  amount("shared", "SHR", "shared memory", 6, (p) => p.shared),
  amount("read", "RD/s", "read from disks a second", 2, (p) => p.read_bytes),
  amount("write", "WR/s", "written to disks a second", 2, (p) => p.write_bytes),
  amount("rx", "RX/s", "received a second", 2, (p) => p.rx_bytes),
  amount("tx", "TX/s", "sent a second", 2, (p) => p.tx_bytes),
  words("machine", "MACHINE", "VM or container that it belongs to", "machine", 5, (p) => p.machine ?? ""),
  words("command", "COMMAND", "command and its arguments", undefined, 0, command),
];

export const processMatches = (p, text) => has(text, p.command, p.name, p.user, p.machine) || String(p.pid) === text;

export const machineName = (m) => m.name || m.id || "";
const kind = (m) => (m.kind === "container" ? "ctr" : m.kind);

// trend(canvas, id) draws the CPU of the last minutes, if there is one.
export const machineColumns = (trend) => [
  words("name", "NAME", "name", "name", 0, machineName),
  words("kind", "KIND", "VM or container", "kind", 3, kind),
  words("state", "STATE", "state", "word", 2, (m) => m.state),
  { ...share("cpu", "CPU%", "of one CPU: 300 is three CPUs, all of the time", 0, (m) => m.cpu), bar: (m) => m.cpu / (m.cpus || 1) },
  { ...count("cpus", "CPUS", "CPUs that it was given", 4, (m) => m.cpus), text: (m) => (m.cpus ? number(m.cpus, Number.isInteger(m.cpus) ? 0 : 1) : "-") },
  { ...amount("used", "MEM", "memory of the host that it uses", 0, (m) => m.used), bar: (m) => (m.memory ? m.used / m.memory : 0) },
  { ...amount("memory", "GIVEN", "memory that it was given", 4, (m) => m.memory), text: (m) => (m.memory ? size(m.memory) : "-") },
  amount("read", "RD/s", "read from disks a second", 2, (m) => m.read_bytes),
  amount("write", "WR/s", "written to disks a second", 2, (m) => m.write_bytes),
  amount("rx", "RX/s", "received by it a second", 1, (m) => m.rx_bytes),
  amount("tx", "TX/s", "sent by it a second", 1, (m) => m.tx_bytes),
  count("processes", "PROC", "processes", 5, (m) => m.processes),
  words("by", "BY", "what runs it", "word", 5, (m) => m.by),
  ...(trend ? [{ id: "trend", title: "CPU, 10 min", about: "CPU of the last 10 minutes", width: undefined, kind: "text", rank: 3, value: (m) => m.cpu, most: true, text: () => "", draw: (canvas, m) => trend(canvas, m.id) }] : []),
];

export const machineMatches = (m, text) => has(text, m.name, m.id, m.by, m.kind, m.state);

// with puts a column for the host before the others.
export const withHost = (columns, of) => [
  words("host", "HOST", "host", "host", 0, (r) => r.host),
  ...columns.map((c) => ({
    ...c,
    value: c.value && ((r) => c.value(of(r))),
    text: c.text && ((r) => c.text(of(r))),
    bar: c.bar && ((r) => c.bar(of(r))),
  })),
];

const much = (yes) => (yes ? "much" : null);
// flagged says with a "!" what is too much, as nothing is said by colour alone.
const flagged = (text, yes) => (yes ? text + "!" : text);

export const diskColumns = () => [
  words("name", "DISK", "block device", undefined, 0, (d) => d.name),
  amount("read", "RD/s", "read a second", 0, (d) => d.read_bytes),
  amount("write", "WR/s", "written a second", 0, (d) => d.write_bytes),
  { ...amount("wait", "wait", "mean time of a request", 1, (d) => d.wait, "wait"), text: (d) => number(d.wait * 1000, 1) + "ms" },
  { ...share("busy", "busy%", "share of the time in which it worked", 0, (d) => d.busy), bar: (d) => d.busy,
    text: (d) => flagged(percent(d.busy), d.busy >= 0.9), look: (d) => much(d.busy >= 0.9) },
];

export const full = (f) => (f.used + f.available > 0 ? f.used / (f.used + f.available) : 0);

export const filesystemColumns = () => [
  words("mount", "FILESYSTEM", "where it is mounted", undefined, 0, (f) => f.mount),
  words("type", "type", "kind of file system", "kind", 7, (f) => f.type),
  amount("used", "used", "used", 0, (f) => f.used),
  amount("size", "size", "size", 0, (f) => f.size),
  { ...share("full", "full%", "used, of what users can have", 0, (f) => (f.stale ? 2 : full(f))), width: "full", bar: full,
    text: (f) => (f.stale ? "no reply!" : flagged(percent(full(f)), full(f) >= 0.9)), look: (f) => much(f.stale || full(f) >= 0.9) },
];

const faults = (i) => i.rx_errors + i.tx_errors;
const drops = (i) => i.rx_drops + i.tx_drops;

export const interfaceColumns = () => [
  words("name", "INTERFACE", "network interface", undefined, 0, (i) => i.name),
  { ...amount("rx", "RX/s", "received a second", 0, (i) => (i.up ? i.rx_bytes : -1)), text: (i) => (i.up ? size(i.rx_bytes) : "down") },
  { ...amount("tx", "TX/s", "sent a second", 0, (i) => (i.up ? i.tx_bytes : -1)), text: (i) => (i.up ? size(i.tx_bytes) : "") },
  { ...amount("errors", "err", "errors a second", 1, faults), text: (i) => flagged(size(faults(i)), faults(i) > 0), look: (i) => much(faults(i) > 0) },
  { ...amount("drops", "drop", "packets dropped a second", 1, drops), text: (i) => flagged(size(drops(i)), drops(i) > 0), look: (i) => much(drops(i) > 0) },
];

const reading = (s) => {
  const unit = { temperature: [0, " °C"], fan: [0, " rpm"], power: [1, " W"] }[s.kind] ?? [1, ""];
  return number(s.value, unit[0]) + unit[1];
};
const hot = (s) => s.high > 0 && s.value >= s.high;

export const sensorColumns = () => [
  words("name", "SENSOR", "chip and reading", undefined, 0, (s) => `${s.chip ?? ""} ${s.label ?? ""}`.trim()),
  { ...amount("value", "now", "reading", 0, (s) => s.value, "machine"), text: (s) => flagged(reading(s), hot(s)), look: (s) => much(hot(s)) },
];
