// The bottom sheet: who may call me, and what to do about a person. Loaded when it is first opened.

import { h, text } from "./dom.js";

const WHO = [
  ["following", "People you follow"],
  ["close_friends", "Close friends only"],
  ["everyone", "Everyone"],
  ["nobody", "Nobody"],
];

const sheet = document.querySelector("#sheet");
const style = h("link", { rel: "stylesheet", href: "/static/sheet.css" });
const styled = new Promise((resolve) => (style.onload = style.onerror = resolve));
document.head.append(style);

function show(title, ...content) {
  const close = h("button", { class: "plain", onclick: () => sheet.close() }, "Done");
  sheet.replaceChildren(h("header", {}, h("h2", {}, title), close), ...content);
  sheet.onclick = (event) => event.target === sheet && sheet.close();
  sheet.showModal();
}

function statusLine() {
  return h("p", { class: "muted", role: "status" });
}

/** Asks the service, and says in the sheet how it went. */
async function ask(session, message, status, done) {
  text(status, "Saving…");
  try {
    const reply = await session.signaling.request(message);
    text(status, done);
    return reply;
  } catch (error) {
    text(status, error.code ? "That didn’t work. Try again." : "You’re offline. Try again when you’re connected.");
    return null;
  }
}

async function openMe({ session, signOut }) {
  const status = statusLine();
  const inputs = WHO.map(([value, label]) => {
    const input = h("input", { type: "radio", name: "who", value, disabled: true, onchange: () => ask(session, { type: "control.set", who: value }, status, "Saved.") });
    return [input, h("label", { class: "choice" }, input, label)];
  });
  show(session.user.display_name,
    h("fieldset", {}, h("legend", {}, "Who can call you"), ...inputs.map(([, label]) => label)),
    status, h("button", { class: "danger", onclick: signOut }, "Sign out"));
  const state = await ask(session, { type: "control.get" }, status, "");
  for (const [input] of state ? inputs : []) {
    input.disabled = false;
    input.checked = input.value === state.who;
  }
}

async function openPerson({ session, name }) {
  const status = statusLine();
  const { displayName } = session.chats.person(name);
  let blocked = false;
  const block = h("button", { class: "danger", disabled: true });
  const draw = (state) => {
    blocked = state.blocked.includes(name);
    block.disabled = false;
    text(block, blocked ? `Unblock ${displayName}` : `Block ${displayName}`);
  };
  text(block, `Block ${displayName}`);
  block.onclick = async () => {
    const done = blocked ? "Unblocked." : "Blocked: no more calls or messages from them.";
    const state = await ask(session, { type: blocked ? "control.unblock" : "control.block", name }, status, done);
    if (state) draw(state);
  };
  const report = h("button", { class: "danger", onclick: async () => {
    report.disabled = Boolean(await ask(session, { type: "control.report", name }, status, "Reported. Thank you for telling us."));
  } }, `Report ${displayName}`);
  show(displayName, h("p", { class: "muted" }, `@${name}`), block, report, status);
  const state = await ask(session, { type: "control.get" }, status, "");
  if (state) draw(state);
}

export async function openSheet(what, context) {
  await styled;
  return what === "me" ? openMe(context) : openPerson(context);
}
