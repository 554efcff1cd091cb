// The page of one host.
import { Alerts } from "./alerts.js";
import { Live } from "./chart.js";
import * as columns from "./columns.js";
import { Details } from "./details.js";
import { byId, fit, make, mark, say } from "./dom.js";
import { ask, Feed, state } from "./feed.js";
import { clock, plain } from "./format.js";
import { Graphs } from "./graphs.js";
import { Past } from "./past.js";
import { panel, Table } from "./table.js";
import { Times } from "./times.js";
import { Vitals } from "./vitals.js";
import { machineCharts, processCharts } from "./charts.js";

const { api, name } = document.body.dataset;

const past = new Past(api);
const live = new Live();
const vitals = new Vitals();
const times = new Times(past, (t) => changed(t));
const graphs = new Graphs({ past, live, times, mount: byId("charts") });
const details = new Details((definitions, mount) => graphs.add(definitions, mount));
const alerts = new Alerts((at) => times.look(at, 1));

const few = innerWidth < 700 ? 15 : 30;
const machines = new Table({
  mount: byId("machines"), name: "VMs and containers", columns: columns.machineColumns((canvas, id) => graphs.trend(canvas, id)), id: (m) => m.id, matches: columns.machineMatches,
  sort: "cpu", few, empty: "There is no VM and no container here.", open: (m) => details.machine(m, shown, machineCharts(m.id)),
});
machines.tools(byId("machines").querySelector("header"), "filter");
const processes = new Table({
  mount: byId("processes"), name: "Processes", columns: columns.processColumns(), id: (p) => p.pid, matches: columns.processMatches,
  sort: "cpu", few, parent: (p) => p.parent, look: (p) => (p.state === "Z" ? "dim" : null),
  open: (p) => details.process(p, shown, past.tiers ? processCharts(p) : []),
});
processes.tools(byId("processes").querySelector("header"), "filter: command, user, machine or PID");

const devices = byId("devices");
const tables = {
  disks: panel(devices, "Disks", { columns: columns.diskColumns(), id: (d) => d.name, sort: "busy", few: 6, empty: "There is none." }),
  interfaces: panel(devices, "Network", { columns: columns.interfaceColumns(), id: (i) => i.name, sort: "rx", few: 6, empty: "There is none." }),
  filesystems: panel(devices, "File systems", { columns: columns.filesystemColumns(), id: (f) => f.mount, sort: "full", few: 6, empty: "There is none." }),
  sensors: panel(devices, "Sensors", { columns: columns.sensorColumns(), id: (s) => `${s.chip} ${s.label} ${s.kind}`, sort: "name", few: 8, empty: "This machine has none that the kernel knows." }),
};

let latest = null;
let shown = null;

function show(s) {
  shown = s;
  document.title = `${plain(name || s.host.name, 80) || "Sarn"}${times.at === null ? "" : " then"} · Sarn monitor`;
  vitals.show(s);
  for (const [what, table] of Object.entries(tables)) table.update(s[what]);
  machines.update(s.machines);
  processes.update(s.processes);
  details.show(s);
  missing(s.missing);
}

function missing(all) {
  const card = byId("missing");
  card.hidden = all.length === 0;
  let list = card.querySelector("ul");
  if (!list) card.append((list = make("ul", { class: "missing" })));
  fit(list, all, () => make("li", {}, make("b"), make("span"), make("em")), (e, m) => {
    say(e.children[0], plain(m.what));
    say(e.children[1], plain(m.why));
    say(e.children[2], m.help ? plain(m.help) : "");
  });
}

// changed shows another time, or the present again.
function changed({ record, error }) {
  problem(error);
  mark(document.body, "data-time", record ? "past" : "now");
  graphs.changed();
  if (record) {
    const s = times.which === "peak" && record.peak ? withNames(record.peak, record.sample) : record.sample;
    first(s);
    show(s);
  } else if (latest) show(latest);
}

// first says who was first by a measure in a sample of the past.
function first(s) {
  const [words, column, text, of] = columns.measures[Object.hasOwn(columns.measures, times.by) ? times.by : "cpu"];
  const most = (all) => all.reduce((a, x) => (of(x) > (a ? of(a) : 0) ? x : a), null);
  const p = most(s.processes), m = most(s.machines);
  const link = (name, x, open) => make("button", { type: "button", class: "link", onclick: open }, `${plain(name, 40)} ${text(of(x))}`);
  byId("first").replaceChildren(p || m ? `most ${words}: ` : "",
    ...(p ? [link(`${p.name}[${p.pid}]`, p, () => details.process(p, s, processCharts(p)))] : []),
    p && m ? ", " : "",
    ...(m ? [link(`${m.kind === "vm" ? "VM" : "container"} ${columns.machineName(m)}`, m, () => details.machine(m, s, machineCharts(m.id)))] : []));
  processes.largest(column);
}

function problem(words) {
  say(byId("problem"), plain(words ?? "", 500));
  byId("problem").hidden = !words;
}

// withNames is the largest figures of a period, with the time of its record.
const withNames = (peak, sample) => ({ ...peak, at: sample.at, host: sample.host });

function status(s) {
  mark(document.body, "data-state", s.up ? "up" : "down");
  say(byId("state"), state(s));
  mark(byId("state"), "title", plain(s.error, 300) || null);
  problem(s.up ? "" : s.error);
  if (s.up) listen();
}

new Feed(api, {
  sample(s) {
    const first = latest === null;
    const missed = !first && s.at - latest.at > 3 * Math.max(s.interval, 1);
    latest = s;
    times.offset = s.at - Date.now() / 1000;
    say(byId("clock"), clock(new Date(s.at * 1000)));
    live.add(s);
    if (times.at === null) show(s);
    graphs.sample(s, first);
    if (missed) fill();
  },
  alerts(a) {
    told = true;
    alerts.take(a);
  },
  status,
});

// fill gets what went by before the page was opened, or while it did not listen.
function fill() {
  graphs.changed();
  graphs.trends(latest?.machines ?? []);
}

let told = false;
let asking = false;
let again;

// listen asks, once there is a connection, what does not come by itself; again after a
// while, and with the next connection, if there was no answer.
async function listen() {
  clearTimeout(again);
  if (asking) return;
  asking = true;
  if (past.unknown) {
    await past.bounds();
    times.offer();
    fill();
  }
  let unanswered = past.unknown;
  if (!told) {
    try {
      alerts.take(await ask(api + "/alerts"));
      told = true;
    } catch (e) {
      if (!told) alerts.unwatched(plain(e.message, 300));
      unanswered ||= e.status !== 404;
    }
  }
  asking = false;
  if (unanswered) again = setTimeout(listen, 5000);
}

// What follows # says which time is shown, so these do without.
for (const a of document.querySelectorAll('a[href^="#"]')) {
  a.addEventListener("click", (e) => {
    e.preventDefault();
    const to = document.querySelector(a.getAttribute("href"));
    if (to.id === "main") scrollTo(0, 0);
    else to.scrollIntoView();
    to.focus({ preventScroll: true });
  });
}

addEventListener("keydown", (e) => {
  if (e.target.closest("input, select, textarea, dialog") || e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "/") {
    e.preventDefault();
    processes.input.focus();
  }
});
