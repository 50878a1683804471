// Elements, and the small words and pictures that every view uses.

/** `h("button", {class: "x", onclick}, "Text", child)` */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else set(element, name, value);
  }
  element.append(...children);
  return element;
}

/** Only when it changes: no needless work on a slow phone, no repeated announcement. */
export function set(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
}

export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.innerHTML = `<use href="#i-${name}"/>`;
  return svg;
}

/** Makes `parent` hold one element an item, in order; those that stay keep their element and the focus. */
export function sync(parent, items, { key, make, update }) {
  const kept = (parent.keyed ??= new Map());
  const wanted = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    wanted.add(id);
    let element = kept.get(id);
    if (!element) kept.set(id, (element = make(item)));
    update(element, item);
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
  for (const [id, element] of kept) {
    if (wanted.has(id)) continue;
    element.remove();
    kept.delete(id);
  }
}

const HUES = [222, 248, 272, 312, 336, 350, 200];

export function hueOf(name) {
  return HUES[[...name].reduce((hash, char) => hash * 31 + char.codePointAt(0), 7) % 9973 % HUES.length];
}

function initials(displayName) {
  const words = displayName.trim().split(/\s+/);
  return ((words[0]?.[0] ?? "?") + (words.length > 1 ? words.at(-1)[0] : "")).toUpperCase();
}

export function avatar({ name, displayName }) {
  const element = h("span", { class: "avatar", "aria-hidden": "true" }, initials(displayName), h("i", { class: "presence" }));
  element.style.setProperty("--hue", hueOf(name));
  return element;
}

const DAY_MS = 86400000;
const startOfDay = (atMs) => new Date(atMs).setHours(0, 0, 0, 0);

export function clockTime(atMs) {
  return new Date(atMs).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

export function dayName(atMs) {
  const days = Math.round((startOfDay(Date.now()) - startOfDay(atMs)) / DAY_MS);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  return new Date(atMs).toLocaleDateString([], { day: "numeric", month: "long" });
}

export function shortTime(atMs) {
  const days = Math.round((startOfDay(Date.now()) - startOfDay(atMs)) / DAY_MS);
  if (days <= 0) return clockTime(atMs);
  return days < 7 ? `${days} d` : `${Math.floor(days / 7)} w`;
}

export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const hours = Math.floor(seconds / 3600);
  const rest = `${Math.floor(seconds / 60) % 60}:${String(seconds % 60).padStart(2, "0")}`;
  return hours ? `${hours}:${rest.padStart(5, "0")}` : rest;
}
