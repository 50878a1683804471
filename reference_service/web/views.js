// The two panes: the list of conversations, and one conversation.

import { avatar, clockTime, dayName, duration, h, icon, set, shortTime, sync, text } from "./dom.js";

const GROUP_MS = 5 * 60000;

function callWords({ mine, media, answered, duration_ms: ms, outcome }) {
  const what = media === "video" ? "Video call" : "Audio call";
  if (answered) return ms === null ? what : `${what} · ${duration(ms)}`;
  if (!mine) return outcome === "declined" ? `${what} · declined` : `Missed ${what.toLowerCase()}`;
  return `${what} · ${{ blocked: "not allowed", no_answer: "no answer", no_media: "not connected" }[outcome] ?? outcome.replace("_", " ")}`;
}

function makeRow(person, onOpen) {
  const row = h("button", { class: "contact", "data-testid": "contact", "data-name": person.name, onclick: () => onOpen(person.name) },
    avatar(person),
    h("span", { class: "contact-name" }), h("time", { class: "contact-time" }),
    h("span", { class: "contact-last" }), h("span", { class: "badge" }),
  );
  return h("li", {}, row);
}

function updateRow(li, person, { me, selected }) {
  const row = li.firstElementChild;
  const [, name, time, last, badge] = row.children;
  set(row, "aria-current", person.name === selected && "true");
  set(row, "data-online", person.online);
  set(row, "data-unread", person.unread || null);
  text(name, person.displayName);
  text(time, person.last ? shortTime(person.last.atMs) : "");
  text(last, person.last ? `${person.last.from === me ? "You: " : ""}${person.last.text}` : person.online ? "Online" : `@${person.name}`);
  text(badge, person.unread ? String(person.unread) : "");
  set(row, "title", person.online && "Online");
}

export class ListView {
  #chats;
  #onOpen;
  #list = document.querySelector("#contacts");
  #empty = document.querySelector("#contacts-empty");
  #search = document.querySelector("#search");
  #more;

  constructor(chats, onOpen) {
    this.#chats = chats;
    this.#onOpen = onOpen;
    this.#search.addEventListener("input", () => this.draw());
    this.#more = h("button", { class: "plain more", onclick: () => chats.loadThreads({ more: true }) }, "Show more");
    this.#list.after(this.#more);
  }

  draw() {
    const people = this.#chats.sorted(this.#search.value);
    const context = { me: this.#chats.me, selected: this.#chats.open };
    sync(this.#list, people, {
      key: (person) => person.name,
      make: (person) => makeRow(person, this.#onOpen),
      update: (element, person) => updateRow(element, person, context),
    });
    this.#more.hidden = !this.#chats.moreThreads || Boolean(this.#search.value);
    this.#empty.hidden = people.length > 0;
    text(this.#empty, this.#search.value ? "Nobody by that name." : "Nobody here yet. Follow people to message and call them.");
  }
}

/** Items with day lines between them; `last` ends a run of one author. */
function layOut(items) {
  const laid = [];
  items.forEach((item, at) => {
    const previous = items[at - 1];
    const next = items[at + 1];
    const day = dayName(item.atMs);
    if (!previous || dayName(previous.atMs) !== day) laid.push({ kind: "day", key: `d${new Date(item.atMs).toDateString()}`, day });
    const joins = (other) => other?.kind === "text" && other.mine === item.mine && Math.abs(other.atMs - item.atMs) < GROUP_MS;
    laid.push({ ...item, item, last: !joins(next) });
  });
  return laid;
}

function makeItem(item, onRetry) {
  if (item.kind === "day") return h("div", { class: "day" }, item.day);
  if (item.kind === "call") {
    return h("div", { class: "call-entry", "data-testid": "call-entry" }, icon(item.media === "video" ? "video" : "phone"), h("span"), h("time", {}, clockTime(item.atMs)));
  }
  const bubble = h("div", { class: "message", "data-testid": "message" }, h("p", {}, item.text), h("small"));
  bubble.addEventListener("click", () => bubble.dataset.status === "failed" && onRetry(bubble.item));
  return bubble;
}

const STATUS = { sending: "Sending…", sent: "Sent" };

function updateItem(element, item) {
  element.item = item.item;
  if (item.kind === "day") return;
  set(element, "data-mine", item.mine ? "true" : "false");
  if (item.kind === "call") {
    set(element, "data-missed", !item.mine && !item.answered && item.outcome !== "declined");
    return text(element.children[1], callWords(item));
  }
  set(element, "data-status", item.mine ? item.status : null);
  set(element, "data-last", item.last);
  const status = item.status === "failed" ? `${item.item.why} Tap to try again.` : `${clockTime(item.atMs)}${item.mine ? ` · ${STATUS[item.status]}` : ""}`;
  text(element.lastElementChild, status);
}

/** `actions`: `{back(), call(name, video), more(name)}`. */
export class ThreadView {
  #chats;
  #root = document.querySelector("#thread");
  #name = null;
  #parts;
  #actions;

  constructor(chats, actions) {
    this.#chats = chats;
    this.#actions = actions;
  }

  #build(person) {
    const { back, call, more } = this.#actions;
    const button = (label, name, testid, onclick) => h("button", { class: "icon", "aria-label": label, "data-testid": testid, onclick }, icon(name));
    const title = h("h2", {});
    const presence = h("p", { class: "muted" });
    const unread = h("span", { class: "badge" });
    const input = h("textarea", { "data-testid": "message-input", rows: 1, maxlength: 4000, placeholder: "Message", "aria-label": `Message to ${person.displayName}` });
    const send = h("button", { class: "icon send", type: "submit", "aria-label": "Send", "data-testid": "message-send" }, icon("send"));
    const log = h("div", { class: "messages", role: "log", "aria-live": "polite", "aria-label": "Messages", tabindex: 0 });
    const backButton = button("Back to chats", "back", "back", back);
    backButton.classList.add("back");
    backButton.append(unread);
    const form = h("form", { class: "composer" }, input, send);
    form.addEventListener("submit", (event) => this.#submit(event, input));
    input.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && this.#submit(event, input));
    input.addEventListener("input", () => {
      input.style.height = "auto";
      input.style.height = `${Math.min(input.scrollHeight, 120)}px`;
    });
    log.addEventListener("scroll", () => log.scrollTop < 60 && this.#older(log), { passive: true });
    this.#root.replaceChildren(
      h("header", { class: "bar" }, backButton, avatar(person), h("div", { class: "who" }, title, presence),
        button("Audio call", "phone", "call-audio", () => call(person.name, false)),
        button("Video call", "video", "call-video", () => call(person.name, true)),
        button("More", "more", "more", () => more(person.name))),
      log, form,
    );
    this.#parts = { title, presence, unread, log };
    delete this.#root.dataset.empty;
    if (matchMedia("(hover: hover)").matches) input.focus();
  }

  #submit(event, input) {
    event.preventDefault();
    const words = input.value.trim();
    if (words) this.#chats.send(this.#name, words);
    input.value = "";
    input.style.height = "auto";
  }

  async #older(log) {
    const fromEnd = log.scrollHeight - log.scrollTop;
    await this.#chats.load(this.#name, { older: true });
    if (log.scrollTop < 60) log.scrollTop = log.scrollHeight - fromEnd;
  }

  draw() {
    const name = this.#chats.open;
    if (!name) return this.#drawNothing();
    const person = this.#chats.person(name);
    const switched = name !== this.#name;
    this.#name = name;
    if (switched) this.#build(person);
    const { title, presence, unread, log } = this.#parts;
    text(title, person.displayName);
    text(presence, person.online ? "Online" : `@${person.name}`);
    set(this.#root, "data-online", person.online);
    text(unread, this.#chats.unread ? String(this.#chats.unread) : "");
    const items = layOut(this.#chats.items(name));
    const atEnd = switched || items.at(-1)?.mine || log.scrollHeight - log.scrollTop - log.clientHeight < 120;
    sync(log, items, {
      key: (item) => item.key,
      make: (item) => makeItem(item, (failed) => this.#chats.retry(this.#name, failed)),
      update: updateItem,
    });
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  #drawNothing() {
    if (this.#root.dataset.empty && !this.#name) return;
    this.#name = null;
    this.#root.dataset.empty = "true";
    this.#root.replaceChildren(h("div", { class: "nothing" }, icon("chat"), h("p", {}, "Pick a conversation to read, write or call.")));
  }
}
