// Alerts: what fires, what is about to, what is over.
import { byId, fit, make, mark, say } from "./dom.js";
import { moment, plain, span } from "./format.js";

const signs = { careful: "!", warning: "!!", critical: "!!!", ok: "ok" };
const most = 5; // that stand at the top
const list = (v) => (Array.isArray(v) ? v.filter((a) => a !== null && typeof a === "object") : []);
const time = (t) => (t && Date.parse(t) > 0 ? new Date(t) : null);

export class Alerts {
  // show(at) goes to a time.
  constructor(show) {
    this.show = show;
    this.count = make("span", { class: "count dim" });
    byId("alerts").querySelector("header").append(this.count);
    this.nobody = make("p", { class: "none", hidden: true }, "Nobody watches this machine: there are no rules. Write some to a file (",
      make("code", {}, "sarn monitor check FILE"), " tests them) and start the monitor with ", make("code", {}, "--alerts FILE"), ".");
    this.body = make("div", { class: "alerts", hidden: true });
    byId("alerts").append(this.nobody, this.body);
    this.active = new Group(this.body, "Active", "None fires.", 50, this);
    this.pending = new Group(this.body, "Pending", "", 50, this);
    this.past = new Group(this.body, "Past", "None has been.", 10, this);
    this.deliveries = make("div");
    this.told = make("div", { hidden: true }, make("h3", {}, "Told by"), this.deliveries);
    this.body.append(this.told);
    this.firing = make("div");
    this.others = make("p", { class: "dim" });
    byId("firing").append(this.firing, this.others);
  }

  // unwatched says that nobody is told, and how to mend it.
  unwatched(why) {
    mark(this.nobody, "title", why || null);
    this.nobody.hidden = false;
    this.body.hidden = byId("firing").hidden = true;
  }

  take(a) {
    const active = list(a.active), past = list(a.past);
    const rules = Number(a.rules) || 0;
    say(this.count, rules === 1 ? "1 rule" : `${rules} rules`);
    if (rules === 0 && active.length + past.length === 0) {
      this.unwatched("");
      return;
    }
    this.nobody.hidden = true;
    this.body.hidden = false;
    byId("firing").hidden = active.length === 0;
    fit(this.firing, active.slice(0, most), () => this.row(), fillRow);
    this.others.hidden = active.length <= most;
    say(this.others, `and ${active.length - most} more, below`);
    this.active.take(active);
    this.pending.take(list(a.pending));
    this.past.take(past);
    const deliveries = list(a.deliveries);
    this.told.hidden = deliveries.length === 0;
    fit(this.deliveries, deliveries, () => make("div", { class: "alert" }, make("b"), make("span"), make("span", { class: "dim" })), fillDelivery);
  }

  row() {
    const e = make("div", { class: "alert" }, make("b", { class: "level" }), make("span", { class: "message" }), make("span", { class: "dim" }),
      make("button", { type: "button", class: "link", onclick: () => this.show(e.at) }, "that moment"));
    return e;
  }
}

// Group is alerts of one kind. Rows stay as their words change, so that the focus does.
class Group {
  constructor(parent, title, empty, few, alerts) {
    Object.assign(this, { few, empty, alerts, all: [] });
    this.count = make("span", { class: "count dim" });
    this.none = make("p", { class: "none" }, empty);
    this.rows = make("div");
    this.more = make("button", { type: "button", class: "more", onclick: () => {
      this.few = Infinity;
      this.take(this.all);
    } });
    this.box = make("div", {}, make("h3", {}, title), " ", this.count, this.none, this.rows, this.more);
    parent.append(this.box);
  }

  take(all) {
    this.all = all;
    this.box.hidden = all.length === 0 && this.empty === "";
    say(this.count, String(all.length));
    this.none.hidden = all.length > 0;
    fit(this.rows, all.slice(0, this.few), () => this.alerts.row(), fillRow);
    this.more.hidden = all.length <= this.few;
    say(this.more, `show all ${all.length}`);
  }
}

function fillRow(e, a) {
  const [level, message, about, button] = e.children;
  const since = time(a.since), fired = time(a.fired), ended = time(a.ended);
  const word = plain(ended ? a.highest : a.phase === "pending" ? "pending" : a.level, 10);
  say(level, `${signs[word] ?? ""} ${word}`.trim());
  mark(level, "data-level", word);
  say(message, plain(a.message || [a.rule, a.subject, a.text].filter(Boolean).join(" "), 300));
  const words = [plain(a.rule, 80)];
  if (ended) words.push(`${moment(fired ?? since ?? ended)} to ${moment(ended)}, ${span((ended - (fired ?? since ?? ended)) / 1000)}`);
  else if (since) words.push(`since ${moment(since)}`);
  if (ended && a.worst_text && !String(a.message ?? "").includes(a.worst_text)) words.push(`at worst ${plain(a.worst_text, 80)}`);
  if (a.machine && !String(a.message ?? "").includes(a.machine)) words.push(plain(a.machine, 80));
  if (a.phase === "clearing") words.push("well again, not yet for long enough");
  if (a.gone) words.push("is no more");
  say(about, words.join(" · "));
  e.at = (fired ?? since) / 1000;
  button.hidden = !(e.at > 0);
}

function fillDelivery(e, d) {
  const [name, words, error] = e.children;
  say(name, plain(d.action, 80));
  say(words, [`${plain(d.sent ?? 0)} sent`, d.failed > 0 && `${plain(d.failed)} failed`, d.queued > 0 && `${plain(d.queued)} waiting`,
    d.held_back > 0 && `${plain(d.held_back)} held back`, d.dropped > 0 && `${plain(d.dropped)} dropped`].filter(Boolean).join(", "));
  say(error, d.error ? `${moment(new Date(d.error_at))}: ${plain(d.error, 300)}` : "");
  mark(e, "data-look", d.failed > 0 || d.error ? "much" : null);
}
