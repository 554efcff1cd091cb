// Samples of one host as they come: the first one whole, then what changed.

import { clock } from "./format.js";

const patience = 30_000; // a hidden page stops listening after so long
const pace = 2000; // of a page that asks because it gets no stream
const places = 4; // that streams may take of a browser's six connections

// few says whether the browser opens few connections to the server: by HTTP/1.1, which is what
// there is without TLS, and by TLS to some reverse proxies.
function few() {
  const over = performance.getEntriesByType("navigation")[0]?.nextHopProtocol;
  return over ? over.startsWith("http/1") : location.protocol === "http:";
}

// place takes a place for a stream until signal aborts. By HTTP/1.1 a browser opens six
// connections to a server, for all of its pages: streams must not take all of them, or the
// next page does not even load. It is false if other pages have all places.
async function place(signal) {
  if (!few() || !navigator.locks) return true;
  for (let n = 0; n < places; n++) {
    const taken = await new Promise((told) => {
      const held = (lock) => {
        told(lock !== null);
        return lock && !signal.aborted ? new Promise((end) => signal.addEventListener("abort", end)) : null;
      };
      navigator.locks.request(`stream ${n}`, { ifAvailable: true }, held).catch(() => told(true));
    });
    if (taken) return true;
  }
  return false;
}

const object = (v) => (v !== null && typeof v === "object" ? v : {});
const list = (v) => (Array.isArray(v) ? v.filter((x) => x !== null && typeof x === "object").map(flat) : []);

// flat has figures, words and lists of them in it, and nothing that a lying server could
// make trouble with.
function flat(x) {
  for (const name in x) {
    const v = x[name];
    if (v === null || typeof v !== "object") continue;
    x[name] = Array.isArray(v) ? v.filter((y) => typeof y !== "object") : null;
  }
  return x;
}

// whole makes sure that what a page reads is there, whoever the sample comes from.
export function whole(s) {
  s = object(s);
  for (const name of ["disks", "filesystems", "interfaces", "sensors", "machines", "processes", "missing"]) s[name] = list(s[name]);
  for (const name of ["host", "tasks", "memory", "swap"]) s[name] = flat(object(s[name]));
  const { total, cores } = object(s.cpu);
  s.cpu = { total: flat(object(total)), cores: list(cores) };
  if (s.pressure) {
    const { cpu, memory, io } = object(s.pressure);
    s.pressure = { cpu: flat(object(cpu)), memory: flat(object(memory)), io: flat(object(io)) };
  }
  s.load = Array.isArray(s.load) ? s.load : [];
  for (const m of s.machines) {
    m.vcpus = Array.isArray(m.vcpus) ? m.vcpus : [];
    m.interfaces = Array.isArray(m.interfaces) ? m.interfaces : [];
  }
  s.at = Date.parse(s.time) / 1000;
  return s;
}

// Stream listens to server-sent events and goes on trying when they end; while other pages
// have all places for streams, it asks for the same instead. events are [what takes the
// data, where to ask for it] by name. It tells status of {up, asks, since, error}; since is
// when the connection was made or lost.
export class Stream {
  constructor(address, events, status) {
    Object.assign(this, { address, events, status, tries: 0, up: null, heard: 0, interval: 1 });
    document.addEventListener("visibilitychange", () => this.seen());
    setInterval(() => this.check(), 1000);
    this.open();
  }

  async open() {
    this.close();
    clearTimeout(this.timer);
    this.heard = performance.now();
    const opened = (this.opened = new AbortController());
    const streams = await place(opened.signal);
    if (opened.signal.aborted) return;
    if (streams) this.listen();
    else this.ask(opened.signal);
  }

  listen() {
    const source = (this.source = new EventSource(this.address));
    for (const [name, [take]] of Object.entries(this.events)) {
      source.addEventListener(name, (e) => {
        if (source !== this.source) return;
        let data;
        try {
          data = JSON.parse(e.data);
        } catch {
          this.lost("the server sent what is no JSON");
          return;
        }
        if (this.heardOf(take, data, false) === false) this.again();
      });
    }
    source.onerror = () => source === this.source && this.lost("");
  }

  // ask is instead of listening. There may be a place when it is time for the next.
  async ask(signal) {
    try {
      for (const [take, address] of Object.values(this.events)) {
        if (!address) continue;
        const data = await ask(address, signal);
        if (signal.aborted) return;
        this.heardOf(take, data, true);
      }
    } catch (e) {
      if (!signal.aborted) this.lost(e.status ? e.message : "");
      return;
    }
    this.timer = setTimeout(() => this.open(), pace);
  }

  heardOf(take, data, asks) {
    this.heard = performance.now();
    this.tries = 0;
    this.told(true, "", asks);
    return take(data);
  }

  // again begins anew after a change that belongs on another sample.
  again() {
    const now = performance.now();
    if (now - (this.begun ?? -Infinity) < 5000) this.lost("the server leaves changes out");
    else this.open();
    this.begun = now;
  }

  close() {
    this.opened?.abort();
    this.source?.close();
    this.opened = this.source = null;
  }

  // check ends a connection over which nothing comes any more.
  check() {
    const silence = performance.now() - this.heard;
    if (this.opened && silence > Math.max(10_000, 4000 * this.interval)) this.lost("nothing comes from the server");
  }

  // seen stops listening when nobody has looked for a while.
  seen() {
    clearTimeout(this.away);
    if (document.hidden) {
      this.away = setTimeout(() => {
        clearTimeout(this.timer);
        this.close();
      }, patience);
    } else if (!this.opened) {
      this.open();
    }
  }

  async lost(error) {
    this.close();
    this.told(false, error);
    const wait = Math.min(1000 * 2 ** this.tries++, 10_000) * (0.75 + Math.random() / 2);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), wait);
    this.why();
  }

  // why asks what the browser does not tell of a stream that fails.
  async why() {
    try {
      const stop = new AbortController();
      const answer = await fetch(this.address, { signal: stop.signal, headers: { Accept: "text/event-stream" } });
      if (answer.status === 401) {
        location.reload(); // the session is over: the server asks for the token
        return;
      }
      if (!answer.ok && this.up === false) this.told(false, await problem(answer));
      stop.abort();
    } catch {
      // It is away.
    }
  }

  told(up, error = "", asks = false) {
    if (up === this.up && error === this.error && asks === this.asks) return;
    if (up !== this.up) this.since = new Date();
    Object.assign(this, { up, error, asks });
    this.status({ up, asks, since: this.since, error });
  }
}

// Feed is a Stream of samples.
export class Feed {
  constructor(api, { sample, alerts, status }) {
    this.take = sample;
    this.stream = new Stream(api + "/stream", {
      sample: [(s) => this.begin(s), api + "/sample"],
      delta: [(d) => this.goOn(d)],
      alerts: [(a) => alerts(object(a)), api + "/alerts"],
    }, status);
  }

  begin(s) {
    s = whole(s);
    if (this.latest && s.time === this.latest.time) return true; // asked for again
    this.processes = new Map(s.processes.map((p) => [p.pid, p]));
    return this.give(s);
  }

  goOn(d) {
    d = object(d);
    if (!this.latest || d.base !== this.latest.time || !d.sample) return false;
    for (const pid of Array.isArray(d.gone) ? d.gone : []) this.processes.delete(pid);
    for (const p of list(d.changed)) this.processes.set(p.pid, p);
    const s = whole(d.sample);
    s.processes = [...this.processes.values()];
    return this.give(s);
  }

  give(s) {
    if (!Number.isFinite(s.at)) return false;
    this.latest = s;
    if (s.interval > 0) this.stream.interval = Math.min(s.interval, 3600);
    this.take(s);
    return true;
  }
}

// state is a status in words.
export function state({ up, asks, since }) {
  if (!up) return `no connection since ${clock(since)}, trying again`;
  return asks ? `every ${pace / 1000} s: too many pages are open` : `live since ${clock(since)}`;
}

// problem is what is wrong with an answer, in words.
export async function problem(answer) {
  const text = (await answer.text()).slice(0, 500);
  try {
    const { error, title, detail } = JSON.parse(text);
    return String(error ?? detail ?? title ?? answer.statusText);
  } catch {
    return /^\s*</.test(text) || !text ? `${answer.status} ${answer.statusText}` : text;
  }
}

// ask reads JSON from the API; what is wrong is an Error with its status.
export async function ask(address, signal) {
  const answer = await fetch(address, { signal, headers: { Accept: "application/json" } });
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw Object.assign(new Error(await problem(answer)), { status: answer.status });
  return answer.json();
}
