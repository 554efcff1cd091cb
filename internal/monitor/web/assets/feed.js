// Samples of one host as they come: the first one whole, then what changed.

const patience = 30_000; // a hidden page stops listening after so long
const list = (v) => (Array.isArray(v) ? v.filter((x) => x !== null && typeof x === "object") : []);
const object = (v) => (v !== null && typeof v === "object" ? v : {});

// whole makes sure that what a page reads is there, whoever the sample comes from.
export function whole(s) {
  s = object(s);
  for (const name of ["disks", "filesystems", "interfaces", "sensors", "machines", "processes", "missing"]) s[name] = list(s[name]);
  for (const name of ["host", "cpu", "tasks", "memory", "swap"]) s[name] = object(s[name]);
  s.cpu.total = object(s.cpu.total);
  s.cpu.cores = list(s.cpu.cores);
  if (s.pressure) for (const name of ["cpu", "memory", "io"]) s.pressure[name] = object(s.pressure[name]);
  s.load = Array.isArray(s.load) ? s.load : [];
  for (const m of s.machines) {
    m.vcpus = Array.isArray(m.vcpus) ? m.vcpus : [];
    m.interfaces = Array.isArray(m.interfaces) ? m.interfaces : [];
  }
  s.at = Date.parse(s.time) / 1000;
  return s;
}

// Stream listens to server-sent events and goes on trying when they end. It tells status
// of {up, since, error}; since is when the connection was made or lost.
export class Stream {
  constructor(address, events, status) {
    Object.assign(this, { address, events, status, tries: 0, up: null, heard: 0, interval: 1 });
    document.addEventListener("visibilitychange", () => this.seen());
    setInterval(() => this.check(), 1000);
    this.open();
  }

  open() {
    this.close();
    clearTimeout(this.timer);
    this.heard = performance.now();
    const source = (this.source = new EventSource(this.address));
    for (const [name, take] of Object.entries(this.events)) {
      source.addEventListener(name, (e) => {
        if (source !== this.source) return;
        this.heard = performance.now();
        this.tries = 0;
        let data;
        try {
          data = JSON.parse(e.data);
        } catch {
          this.lost("the server sent what is no JSON");
          return;
        }
        this.told(true);
        if (take(data) === false) this.again();
      });
    }
    source.onerror = () => source === this.source && this.lost("");
  }

  // again begins anew after a change that belongs on another sample.
  again() {
    const now = performance.now();
    if (now - (this.begun ?? -Infinity) < 5000) this.lost("the server leaves changes out");
    else this.open();
    this.begun = now;
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  // check ends a connection over which nothing comes any more.
  check() {
    const silence = performance.now() - this.heard;
    if (this.source && silence > Math.max(10_000, 4000 * this.interval)) this.lost("nothing comes from the server");
  }

  // seen stops listening when nobody has looked for a while.
  seen() {
    clearTimeout(this.away);
    if (document.hidden) {
      this.away = setTimeout(() => {
        clearTimeout(this.timer);
        this.close();
      }, patience);
    } else if (!this.source) {
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

  told(up, error = "") {
    if (up === this.up && error === this.error) return;
    if (up !== this.up) this.since = new Date();
    this.up = up;
    this.error = error;
    this.status({ up, since: this.since, error });
  }
}

// Feed is a Stream of samples.
export class Feed {
  constructor(api, { sample, alerts, status }) {
    this.take = sample;
    this.stream = new Stream(api + "/stream", {
      sample: (s) => this.begin(s),
      delta: (d) => this.goOn(d),
      alerts: (a) => alerts(object(a)),
    }, status);
  }

  begin(s) {
    s = whole(s);
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
    this.latest = s;
    if (s.interval > 0) this.stream.interval = Math.min(s.interval, 3600);
    this.take(s);
    return true;
  }
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
