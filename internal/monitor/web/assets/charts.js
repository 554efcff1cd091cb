// The charts of a host and of a machine.
import { make } from "./dom.js";
import { plain } from "./format.js";

const sum = (...of) => of.reduce((a, b) => (a === null && b === null ? null : (a ?? 0) + (b ?? 0)), null);

export const cpuChart = () => ({
  title: "CPU", kind: "percent", by: "cpu",
  fields: ["cpu.user", "cpu.nice", "cpu.system", "cpu.irq", "cpu.softirq", "cpu.steal", "cpu.iowait", "cpu.busy"],
  spike: "cpu.busy",
  lines: [
    { label: "user", colour: "--c-user", stack: true, of: (get) => get("cpu.user") },
    { label: "nice", colour: "--c-nice", stack: true, of: (get) => get("cpu.nice") },
    { label: "system", colour: "--c-system", stack: true, of: (get) => get("cpu.system") },
    { label: "irq", colour: "--c-irq", stack: true, of: (get) => sum(get("cpu.irq"), get("cpu.softirq")) },
    { label: "steal", colour: "--c-steal", stack: true, of: (get) => get("cpu.steal") },
    { label: "iowait", colour: "--c-iowait", stack: true, of: (get) => get("cpu.iowait") },
    { label: "peak of a second", colour: "--c-peak", peak: true, of: (get) => get("cpu.busy") },
  ],
  most: () => 1,
});

export const memoryChart = () => ({
  title: "Memory", kind: "bytes", by: "memory",
  fields: ["memory.used", "memory.available", "memory.free", "memory.total", "swap.total", "swap.free"],
  spike: "memory.used",
  lines: [
    { label: "used", colour: "--c-user", stack: true, of: (get) => get("memory.used") },
    { label: "cache", colour: "--c-cache", stack: true, of: (get) => (get("memory.available") === null ? null : Math.max(get("memory.available") - get("memory.free"), 0)) },
    { label: "swap", colour: "--c-steal", of: (get) => (get("swap.total") === null ? null : get("swap.total") - get("swap.free")) },
  ],
  most: (get) => Math.max(get("memory.total") ?? 0, (get("swap.total") ?? 0) - (get("swap.free") ?? 0)),
});

const rates = (title, table, items, names) => ({
  title, kind: "rate", by: names === disk ? "io" : "net",
  fields: items.flatMap((i) => names.map(([field]) => `${table}[${i}].${field}`)),
  spike: items.flatMap((i) => names.map(([field]) => `${table}[${i}].${field}`)),
  lines: [
    ...names.map(([field, label, colour]) => ({ label, colour, of: (get) => sum(null, ...items.map((i) => get(`${table}[${i}].${field}`))) })),
    { label: "peak", colour: "--c-peak", peak: true, of: (get) => Math.max(...names.map(([field]) => sum(null, ...items.map((i) => get(`${table}[${i}].${field}`))) ?? -1)) },
  ],
});

const peak = (field) => ({ label: "peak", colour: "--c-peak", peak: true, of: (get) => get(field) });

const disk = [["read_bytes", "read", "--c-blue"], ["write_bytes", "write", "--c-red"]];
const link = [["rx_bytes", "received", "--c-blue"], ["tx_bytes", "sent", "--c-red"]];

export const diskChart = (names) => rates("Disks", "disks", names, disk);
export const networkChart = (names) => rates("Network", "interfaces", names, link);

export const machineCharts = (id) => [
  { title: "CPU", kind: "percent", fields: [`machines[${id}].cpu`], spike: `machines[${id}].cpu`,
    lines: [{ label: "of one CPU", colour: "--c-blue", of: (get) => get(`machines[${id}].cpu`) }, peak(`machines[${id}].cpu`)] },
  { title: "Memory of the host", kind: "bytes", fields: [`machines[${id}].used`], spike: `machines[${id}].used`,
    lines: [{ label: "used", colour: "--c-blue", of: (get) => get(`machines[${id}].used`) }] },
  rates("Disk", "machines", [id], disk),
  rates("Network", "machines", [id], link),
];

export const processCharts = (p) => {
  // As package history names a process: its number and its start.
  const start = Date.parse(p.start);
  const key = start > 0 ? `${p.pid}@${start}` : String(p.pid);
  const of = (name) => `processes[${key}].${name}`;
  // Samples that came by are kept without their processes: these charts are history's.
  return [
    { title: "CPU", kind: "percent", kept: true, fields: [of("cpu")], spike: of("cpu"), lines: [{ label: "of one CPU", colour: "--c-blue", of: (get) => get(of("cpu")) }, peak(of("cpu"))] },
    { title: "Memory", kind: "bytes", kept: true, fields: [of("resident")], spike: of("resident"), lines: [{ label: "resident", colour: "--c-blue", of: (get) => get(of("resident")) }] },
  ];
};

// links are the interfaces of which traffic adds up to that of the host: those with a
// device behind them, or where there is none, all but loopback and the ends of machines.
export function links(s) {
  const named = s.interfaces.filter((i) => typeof i.name === "string");
  const ends = new Set(["lo", ...s.machines.flatMap((m) => m.interfaces)]);
  const physical = named.filter((i) => i.physical === true);
  return (physical.length > 0 ? physical : named.filter((i) => !ends.has(i.name))).map((i) => i.name);
}

// disks are those that are not made of others, which would count twice.
export function disks(s) {
  return s.disks.filter((d) => typeof d.name === "string" && d.stacked !== true).map((d) => d.name);
}

// chooser is a list of devices of which one, or all, are drawn.
export function chooser(label, chosen) {
  const select = make("select", { "aria-label": label, onchange: () => chosen(select.value === "" ? null : select.value.slice(1)) });
  select.offer = (all, names) => {
    const wanted = all.length + "/" + names.join("/");
    if (select.wanted === wanted) return;
    select.wanted = wanted;
    const { value } = select;
    select.replaceChildren(
      make("option", { value: "" }, all.length === 0 ? "none" : all.length === 1 ? plain(all[0], 20) : `${all.slice(0, 2).map((n) => plain(n, 12)).join(" + ")}${all.length > 2 ? ` + ${all.length - 2}` : ""}`),
      ...names.map((n) => make("option", { value: "=" + n }, plain(n, 20))));
    select.value = value;
    if (select.selectedIndex < 0) select.value = "";
  };
  return select;
}
