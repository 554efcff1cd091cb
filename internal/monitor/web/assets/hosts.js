// The page of all hosts.
import { machineColumns, machineMatches, processColumns, processMatches, withHost } from "./columns.js";
import { byId, choice, fit, make, mark, say } from "./dom.js";
import { ask, state as words, Stream } from "./feed.js";
import { clock, moment, number, percent, plain, size, uptime } from "./format.js";
import { Table } from "./table.js";

const { api } = document.body.dataset;
const of = (h) => h.summary ?? {};
const page = (r) => "/hosts/" + encodeURIComponent(r.name ?? r.host);
const go = (r) => location.assign(page(r));
const list = (v) => (Array.isArray(v) ? v.filter((x) => x !== null && typeof x === "object") : []);

const amount = (id, title, about, rank, get) => ({ id, title, about, width: "size", rank, most: true, value: (h) => get(of(h)) ?? -1, text: (h) => (h.state === "up" ? size(get(of(h))) : "") });
const busy = (s) => (s.cpu ? Math.min(Math.max(1 - s.cpu.idle - s.cpu.iowait, 0), 1) : -1);
const used = (s) => (s.memory?.total > 0 ? 1 - Math.min(s.memory.available / s.memory.total, 1) : -1);
const share = (id, title, about, rank, get) => ({
  id, title, about, width: "percent", rank, most: true, value: (h) => get(of(h)),
  text: (h) => (h.state === "up" ? percent(get(of(h))) : ""), bar: (h) => (h.state === "up" ? get(of(h)) : 0),
});

// since is when a host came up or went down.
function state(h) {
  const since = h.since && h.state !== "connecting" && Date.parse(h.since) > 0 ? ` since ${moment(new Date(h.since))}` : "";
  return `${plain(h.state, 20)}${since}`;
}

const hosts = new Table({
  mount: byId("hosts"), name: "Hosts", id: (h) => h.name, sort: "name", few: 50, open: go,
  empty: "The list of hosts is empty.",
  matches: (h, text) => [h.name, h.address, h.state, h.error].some((s) => typeof s === "string" && s.toLowerCase().includes(text)),
  look: (h) => ({ down: "down", connecting: "wait" })[h.state] ?? null,
  columns: [
    { id: "name", title: "HOST", about: "name", width: "host", kind: "text", rank: 0, value: (h) => h.name, href: page },
    { id: "since", title: "STATE", about: "whether it answers, and since when", kind: "text", width: "since", rank: 0, value: (h) => h.state, text: state },
    { id: "alerts", title: "ALERTS", about: "alerts that fire", width: "percent", rank: 0, most: true, value: (h) => of(h).alerts ?? 0,
      text: (h) => (of(h).alerts > 0 ? `${of(h).alerts}!` : ""), look: (h) => (of(h).alerts > 0 ? "much" : null) },
    share("cpu", "CPU%", "of all CPUs", 0, busy),
    { id: "load", title: "LOAD", about: "load over a minute", width: "size", rank: 3, most: true, value: (h) => of(h).load?.[0] ?? -1, text: (h) => (h.state === "up" ? number(of(h).load?.[0], 2) : "") },
    share("memory", "MEM%", "memory that is used", 0, used),
    amount("read", "RD/s", "read from disks a second", 2, (s) => s.read_bytes),
    amount("write", "WR/s", "written to disks a second", 2, (s) => s.write_bytes),
    amount("rx", "RX/s", "received a second", 2, (s) => s.rx_bytes),
    amount("tx", "TX/s", "sent a second", 2, (s) => s.tx_bytes),
    { id: "vms", title: "VMS", about: "virtual machines", width: "count", rank: 2, most: true, value: (h) => of(h).vms ?? 0, text: (h) => (h.state === "up" ? plain(of(h).vms) : "") },
    { id: "containers", title: "CTRS", about: "containers", width: "count", rank: 3, most: true, value: (h) => of(h).containers ?? 0, text: (h) => (h.state === "up" ? plain(of(h).containers) : "") },
    { id: "up", title: "UP", about: "time since the host was started", width: "time", rank: 4, most: true, value: (h) => -Date.parse(of(h).host?.boot),
      text: (h) => (h.state === "up" ? uptime((Date.parse(of(h).time) - Date.parse(of(h).host?.boot)) / 1000) : "") },
    { id: "about", title: "", about: "address, or what is wrong", kind: "text", rank: 1, value: (h) => h.error || of(h).worst?.message || h.address },
  ],
});
hosts.tools(byId("hosts").querySelector("header"), "filter: name, address or state");

const patience = 10_000; // with an answer

// Fleet is a table of what is first on all hosts, by a figure.
class Fleet {
  constructor(id, path, kinds, options) {
    Object.assign(this, { path, by: kinds[0][0] });
    const mount = byId(id);
    const header = mount.querySelector("header");
    const group = make("div", { class: "group", role: "group", "aria-label": "The first by" });
    header.append(group);
    this.table = new Table({ mount, open: go, sort: "cpu", few: 20, ...options });
    this.table.tools(header, "filter");
    const press = choice(group, kinds.map(([by, words]) => [by, words]), (by) => {
      this.by = by;
      press(by);
      this.table.largest(kinds.find(([k]) => k === by)[2]);
      this.load();
    });
    press(this.by);
  }

  async load() {
    try {
      const rows = list(await ask(`${api}/hosts/${this.path}?by=${this.by}&n=50`, AbortSignal.timeout(patience)));
      this.table.update(rows.filter((r) => r.process ?? r.machine));
    } catch (e) {
      // The stream itself may have nothing to say: this is how it shows that the server is away.
      if (e.status === undefined && stream.up) stream.lost("nothing comes from the server");
      this.table.empty = plain(e.message, 300);
      this.table.update([]);
    }
  }
}

const kinds = [["cpu", "CPU", "cpu"], ["memory", "memory", "resident"], ["io", "disk", "read"], ["net", "network", "rx"]];
const fleet = [
  new Fleet("processes", "top", kinds, {
    name: "Processes of all hosts", columns: withHost(processColumns().filter((c) => !["virtual", "shared", "nice", "machine"].includes(c.id)), (r) => r.process),
    id: (r) => `${r.host} ${r.process.pid}`, matches: (r, text) => String(r.host).toLowerCase().includes(text) || processMatches(r.process, text),
    empty: "No host has answered yet.",
  }),
  new Fleet("machines", "machines", kinds.map(([by, words, id]) => [by, words, id === "resident" ? "used" : id]), {
    name: "VMs and containers of all hosts", columns: withHost(machineColumns(), (r) => r.machine),
    id: (r) => `${r.host} ${r.machine.id}`, matches: (r, text) => String(r.host).toLowerCase().includes(text) || machineMatches(r.machine, text),
    empty: "No host has a VM or a container.",
  }),
];

function show(all) {
  hosts.update(all);
  const up = all.filter((h) => h.state === "up");
  const sums = up.map(of);
  const total = (get) => sums.reduce((a, s) => a + (Number(get(s)) || 0), 0);
  const cpus = total((s) => s.host?.cpus);
  const facts = [
    ["up", `${up.length} of ${all.length}`, up.length < all.length],
    ["CPUs", `${number(total((s) => busy(s) * s.host?.cpus), 1)} of ${cpus} busy`],
    ["memory", `${size(total((s) => s.memory?.total - s.memory?.available))}/${size(total((s) => s.memory?.total))}`],
    ["VMs", number(total((s) => s.vms))], ["containers", number(total((s) => s.containers))],
    ["alerts", number(total((s) => s.alerts)), total((s) => s.alerts) > 0],
  ];
  fit(byId("facts"), facts, () => make("span", {}, make("i"), make("b")), (e, [name, value, high]) => {
    say(e.firstChild, name);
    say(e.lastChild, value);
    mark(e, "data-look", high ? "much" : null);
  });
  say(byId("clock"), clock(new Date()));
}

const stream = new Stream(api + "/hosts/stream", { hosts: [(all) => show(list(all)), api + "/hosts"] }, (status) => {
  const { up, error } = status;
  mark(document.body, "data-state", up ? "up" : "down");
  say(byId("state"), words(status));
  say(byId("problem"), plain(error, 500));
  byId("problem").hidden = up || !error;
  if (up) fleet.forEach((f) => f.load());
});
stream.interval = Infinity; // hosts are told of when something changes
setInterval(() => !document.hidden && stream.up && fleet.forEach((f) => f.load()), 2000);
