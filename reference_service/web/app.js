// Signing in, the socket, the two panes. Calling is loaded a moment later: nobody calls before signing in.

import { Signaling, signIn } from "./signaling.js";
import { Chats } from "./chats.js";
import { ListView, ThreadView } from "./views.js";
import { avatar, h, set, text } from "./dom.js";

const SESSION = "ringline-session";
const PRESENCE_MS = 30000;
const CALLING = ["call_screen", "call", "peer", "sdp", "degradation"];
const $ = (selector) => document.querySelector(selector);

const form = $("#sign-in-form");

function signOut() {
  sessionStorage.removeItem(SESSION);
  history.replaceState(null, "");
  location.reload();
}

async function submitSignIn() {
  const button = form.querySelector("button");
  if (button.disabled || !form.reportValidity()) return;
  text($("#sign-in-error"), "");
  button.disabled = true;
  text(button, "Signing in…");
  try {
    const signedIn = await signIn(form.elements.name.value.trim(), form.elements.password.value);
    sessionStorage.setItem(SESSION, JSON.stringify(signedIn));
    form.elements.password.value = "";
    session = new Session(signedIn);
  } catch (error) {
    text($("#sign-in-error"), error.message);
    $("#password").select();
  }
  button.disabled = false;
  text(button, "Sign in");
}

let session = null;
const calling = loadCalling();

// Asked for all at once: one round trip, not one for every floor of imports.
function loadCalling() {
  for (const name of CALLING) document.head.append(h("link", { rel: "modulepreload", href: `/static/${name}.js` }));
  return import("./call_screen.js");
}

class Session {
  constructor({ token, user }) {
    this.user = user;
    this.signaling = new Signaling(token);
    this.chats = new Chats(this.signaling, user.name);
    this.list = new ListView(this.chats, (name) => this.openThread(name));
    this.thread = new ThreadView(this.chats, {
      back: () => history.back(),
      call: (name, video) => this.#calling((calls) => calls.place(name, video)),
      more: (name) => this.sheet("person", name),
    });
    this.loading = calling.then(({ Calls }) => (this.calls = new Calls(this)));
    this.loading.catch(() => text($(".offline-note"), "Calling couldn’t be loaded. Reload the page."));
    this.#listen();
    this.showView();
  }

  #listen() {
    this.signaling.addEventListener("online", ({ detail }) => this.#showSignaling(true, detail));
    this.signaling.addEventListener("offline", () => this.#showSignaling(false));
    this.signaling.addEventListener("denied", signOut);
    this.signaling.addEventListener("message", ({ detail }) => detail.type.startsWith("call.") && this.#calling((calls) => calls.receive(detail)));
    this.chats.addEventListener("change", ({ detail }) => this.#draw(detail));
    addEventListener("popstate", () => this.showView());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#lookAgain());
    $("#me").replaceChildren(avatar({ name: this.user.name, displayName: this.user.display_name }));
    $("#me").onclick = () => this.sheet("me");
  }

  /** At once when it can be; the order of messages is kept. */
  #calling(act) {
    if (this.calls) act(this.calls);
    else this.loading.then(act, () => {});
  }

  #showSignaling(online, welcome) {
    set(document.body, "data-signaling", online ? "online" : "offline");
    text($(".offline-note"), online ? "" : "No connection. Trying again…");
    this.#calling((calls) => calls.signaling(online, welcome));
  }

  #lookAgain() {
    this.chats.refreshPresence(PRESENCE_MS);
    if (this.chats.open) this.chats.enter(this.chats.open);
  }

  #draw(name) {
    this.list.draw();
    if (!name || name === this.chats.open || !this.chats.open) this.thread.draw();
    const { unread } = this.chats;
    document.title = unread ? `(${unread}) Ringline` : "Ringline";
  }

  openThread(name) {
    const state = { thread: name };
    if (history.state?.thread) history.replaceState(state, "");
    else history.pushState(state, "");
    this.showView();
    this.signaling.measure().catch(() => {}); // A call may follow: know the network by then.
  }

  showView() {
    const name = history.state?.thread ?? null;
    set(document.body, "data-view", name ? "thread" : "list");
    this.chats.enter(name);
    if (!name) this.chats.refreshPresence(PRESENCE_MS);
  }

  async sheet(what, name) {
    const { openSheet } = await import("./sheet.js");
    openSheet(what, { session: this, name, signOut });
  }
}

/** For debugging. */
window.ringfenceApp = {
  state: () => ({ rttMs: session?.signaling.rttMs, ...session?.calls?.state() }),
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submitSignIn();
});
const saved = JSON.parse(sessionStorage.getItem(SESSION));
if (saved) session = new Session(saved);
else if (window.earlySubmit) submitSignIn();
