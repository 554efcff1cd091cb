// Alerts: what fires, what is about to, what is over.
import { byId, make, mark, say } from "./dom.js";
import { moment, plain, span } from "./format.js";

const signs = { careful: "!", warning: "!!", critical: "!!!", ok: "ok" };
const list = (v) => (Array.isArray(v) ? v.filter((a) => a !== null && typeof a === "object") : []);
const time = (t) => (t && Date.parse(t) > 0 ? new Date(t) : null);

export class Alerts {
  // show(at) goes to a time.
  constructor(show) {
    this.show = show;
    this.card = byId("alerts");
    this.count = make("span", { class: "count dim" });
    this.card.querySelector("header").append(this.count);
    this.body = make("div", { class: "alerts" });
    this.card.append(this.body);
    this.firing = byId("firing");
  }

  // unwatched says that nobody is told, and how to mend it.
  unwatched(why) {
    this.firing.hidden = true;
    this.body.replaceChildren(make("p", { class: "none", title: why }, "Nobody watches this machine: there are no rules. Write some to a file (",
      make("code", {}, "sarn monitor check FILE"), " tests them) and start the monitor with ", make("code", {}, "--alerts FILE"), "."));
  }

  take(a) {
    const active = list(a.active), pending = list(a.pending), past = list(a.past);
    const rules = Number(a.rules) || 0;
    say(this.count, rules === 1 ? "1 rule" : `${rules} rules`);
    if (rules === 0 && active.length + past.length === 0) {
      this.unwatched("");
      return;
    }
    this.firing.hidden = active.length === 0;
    this.firing.replaceChildren(...active.slice(0, 5).map((x) => this.row(x)),
      ...(active.length > 5 ? [make("p", { class: "dim" }, `and ${active.length - 5} more, below`)] : []));
    this.body.replaceChildren(
      this.group("Active", active, "None fires."),
      this.group("Pending", pending, null),
      this.group("Past", past, "None has been.", 10),
      this.deliveries(list(a.deliveries)));
  }

  group(title, all, empty, few = 50) {
    const box = make("div");
    if (all.length === 0 && empty === null) return box;
    box.append(make("h3", {}, title), make("span", { class: "count dim" }, ` ${all.length}`));
    if (all.length === 0) box.append(make("p", { class: "none" }, empty));
    box.append(...all.slice(0, few).map((x) => this.row(x)));
    if (all.length > few) {
      const more = make("button", { type: "button", class: "more" }, `show all ${all.length}`);
      more.addEventListener("click", () => more.replaceWith(...all.slice(few).map((x) => this.row(x))));
      box.append(more);
    }
    return box;
  }

  row(a) {
    const since = time(a.since), fired = time(a.fired), ended = time(a.ended);
    const level = String(ended ? a.highest : a.phase === "pending" ? "pending" : a.level);
    const parts = [make("b", { class: "level", "data-level": plain(level, 10) }, `${signs[level] ?? ""} ${plain(level, 10)}`.trim())];
    parts.push(make("span", { class: "message" }, plain(a.message || [a.rule, a.subject, a.text].filter(Boolean).join(" "), 300)));
    const words = [plain(a.rule, 80)];
    if (ended) words.push(`${moment(fired ?? since)} to ${moment(ended)}, ${span((ended - (fired ?? since)) / 1000)}`);
    else if (since) words.push(`since ${moment(since)}`);
    if (a.phase === "clearing") words.push("well again, not yet for long enough");
    if (a.gone) words.push("is no more");
    parts.push(make("span", { class: "dim" }, words.join(" · ")));
    const at = fired ?? since;
    if (at) parts.push(make("button", { type: "button", class: "link", onclick: () => this.show(at / 1000) }, "that moment"));
    return make("div", { class: "alert" }, ...parts);
  }

  deliveries(all) {
    const box = make("div");
    if (all.length === 0) return box;
    box.append(make("h3", {}, "Told by"));
    for (const d of all) {
      const words = [`${d.sent ?? 0} sent`, d.failed > 0 && `${d.failed} failed`, d.queued > 0 && `${d.queued} waiting`,
        d.held_back > 0 && `${d.held_back} held back`, d.dropped > 0 && `${d.dropped} dropped`].filter(Boolean).join(", ");
      const row = make("div", { class: "alert" }, make("b", {}, plain(d.action, 80)), make("span", {}, words));
      mark(row, "data-look", d.failed > 0 || d.error ? "much" : null);
      if (d.error) row.append(make("span", { class: "dim" }, `${moment(new Date(d.error_at))}: ${plain(d.error, 300)}`));
      box.append(row);
    }
    return box;
  }
}
