// Figures as words, the same as in `sarn top` (internal/monitor/term/format.go).

const units = ["", "K", "M", "G", "T", "P", "E"];

// size is bytes in at most five characters: 0, 999, 1.2K, 12.3M, 123G. What nobody knows
// is below 0: ?
export function size(bytes) {
  if (typeof bytes !== "number" || !Number.isFinite(bytes) || bytes < 0) return "?";
  let unit = 0;
  while (bytes >= 999.5 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  if (unit === 0) return String(Math.floor(bytes + 0.5));
  return (bytes < 99.95 ? bytes.toFixed(1) : Math.min(bytes, 9999).toFixed(0)) + units[unit];
}

// percent is a share as per cent, with a decimal as long as there is room.
export function percent(share) {
  if (typeof share !== "number" || !Number.isFinite(share) || share < 0) return "?";
  const p = share * 100;
  return p < 999.95 ? p.toFixed(1) : Math.min(p, 99999).toFixed(0);
}

export function number(v, decimals = 0) {
  return typeof v === "number" && Number.isFinite(v) ? v.toFixed(decimals) : "?";
}

const two = (v) => String(Math.floor(v)).padStart(2, "0");

// cpuTime is m:ss.cc, h:mm:ss from an hour on, 12d03h from four days on.
export function cpuTime(seconds) {
  if (typeof seconds !== "number" || !(seconds >= 0) || seconds > 1e12) return "?";
  const whole = Math.floor(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)}.${two((seconds - whole) * 100)}`;
  if (whole < 4 * 86400) return `${Math.floor(whole / 3600)}:${two((whole / 60) % 60)}:${two(whole % 60)}`;
  return `${Math.floor(whole / 86400)}d${two((whole / 3600) % 24)}h`;
}

// uptime is 12d 3:04.
export function uptime(seconds) {
  if (!Number.isFinite(seconds)) return "?";
  const minutes = Math.max(Math.floor(seconds / 60), 0);
  const days = Math.floor(minutes / 1440);
  return (days > 0 ? `${days}d ` : "") + `${Math.floor(minutes / 60) % 24}:${two(minutes % 60)}`;
}

// clock is 15:04:05 of the browser's time zone.
export function clock(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

// day is 2006-01-02.
export function day(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

// moment is the day, unless it is today, and the time.
export function moment(date, now = new Date()) {
  if (Number.isNaN(date.getTime())) return "?";
  return day(date) === day(now) ? clock(date) : `${day(date)} ${clock(date)}`;
}

// span is a length of time: 45 s, 10 min, 2 h, 3 d.
export function span(seconds) {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

// Control characters, and marks that turn the direction of what follows.
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;
const piled = /(\p{M}{4})\p{M}+/gu;

// plain is text from outside as it may be shown: what cannot be seen becomes its number,
// and marks do not pile up. Cut after most characters.
export function plain(text, most = 400) {
  if (typeof text !== "string") return typeof text === "number" || typeof text === "boolean" ? String(text) : "";
  if (/^[\x20-\x7e]*$/.test(text)) return text.length > most ? text.slice(0, most) + "…" : text;
  const cut = text.length > most;
  return (cut ? text.slice(0, most) : text).replace(hidden, escaped).replace(piled, "$1") + (cut ? "…" : "");
}

function escaped(c) {
  const n = c.codePointAt(0);
  if (n < 0x100) return "\\x" + n.toString(16).padStart(2, "0");
  return n < 0x10000 ? "\\u" + n.toString(16).padStart(4, "0") : "\\U" + n.toString(16).padStart(8, "0");
}
