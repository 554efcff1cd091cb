// The few ways in which the pages change. Nothing here takes markup.

// make makes an element; children that are not nodes become text.
export function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) e.setAttribute(name, value);
  }
  e.append(...children);
  return e;
}

export const byId = (id) => document.getElementById(id);

// say sets the text of an element if it is another one.
export function say(e, text) {
  const only = e.firstChild;
  if (only && only === e.lastChild && only.nodeType === Node.TEXT_NODE) {
    if (only.data !== text) only.data = text;
  } else {
    e.textContent = text;
  }
}

export function mark(e, name, value) {
  if (value === false || value === undefined || value === null) {
    if (e.hasAttribute(name)) e.removeAttribute(name);
  } else if (e.getAttribute(name) !== String(value)) {
    e.setAttribute(name, value);
  }
}

// fit makes as many children as there are items, and has each shown.
export function fit(parent, items, create, show) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(create());
  items.forEach((item, i) => show(parent.children[i], item, i));
}

// choice is a row of buttons of which one is pressed.
export function choice(parent, options, chosen) {
  const buttons = options.map(([value, words]) =>
    make("button", { type: "button", "data-value": value, "aria-pressed": "false", onclick: () => chosen(value) }, words));
  parent.replaceChildren(...buttons);
  return (value) => buttons.forEach((b) => mark(b, "aria-pressed", String(b.dataset.value === String(value))));
}
