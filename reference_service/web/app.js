// The program: signing in, one signaling socket, the two panes, at most one call at a time.

import { Signaling, signIn } from "./signaling.js";
import { Chats } from "./chats.js";
import { ListView, ThreadView } from "./views.js";
import { CallScreen } from "./call_screen.js";
import { Call } from "./call.js";
import { avatar, set, text } from "./dom.js";

const SESSION = "ringline-session";
const PRESENCE_MS = 30000;
const $ = (selector) => document.querySelector(selector);

// ---- signing in

const form = $("#sign-in-form");

function savedSession() {
  try {
    return JSON.parse(sessionStorage.getItem(SESSION));
  } catch {
    return null;
  }
}

function forgetSession() {
  sessionStorage.removeItem(SESSION);
}

async function submitSignIn() {
  const button = form.querySelector("button");
  if (button.disabled || !form.reportValidity()) return;
  text($("#sign-in-error"), "");
  button.disabled = true;
  text(button, "Signing in…");
  try {
    const session = await signIn(form.elements.name.value.trim(), form.elements.password.value);
    sessionStorage.setItem(SESSION, JSON.stringify(session));
    form.elements.password.value = "";
    start(session);
  } catch (error) {
    text($("#sign-in-error"), error.message);
    $("#password").select();
  }
  button.disabled = false;
  text(button, "Sign in");
}

function showSignIn(problem = "") {
  set(document.body, "data-view", "sign-in");
  text($("#sign-in-error"), problem);
}

// ---- the signed-in program

let session = null;

/** Everything that exists between signing in and leaving the page. */
class Session {
  call = null;
  settings = { degradation: true, iceServers: [] };

  constructor({ token, user }) {
    this.user = user;
    this.signaling = new Signaling(token);
    this.chats = new Chats(this.signaling, user.name);
    this.list = new ListView(this.chats, (name) => this.openThread(name));
    this.thread = new ThreadView(this.chats, {
      back: () => history.back(),
      call: (name, video) => this.place(name, video),
      more: (name) => this.sheet("person", name),
    });
    this.screen = new CallScreen({
      again: (call) => this.place(call.name, call.wantsVideo),
      close: () => this.closeCall(),
    });
    this.#listen();
    this.showView();
  }

  #listen() {
    this.signaling.addEventListener("online", ({ detail }) => this.#online(detail));
    this.signaling.addEventListener("offline", () => this.#offline());
    this.signaling.addEventListener("denied", () => {
      forgetSession();
      location.reload();
    });
    this.signaling.addEventListener("message", ({ detail }) => this.#receive(detail));
    this.chats.addEventListener("change", ({ detail }) => this.#draw(detail));
    addEventListener("popstate", () => this.showView());
    addEventListener("pagehide", () => this.call?.hangUp());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#lookAgain());
    $("#me").replaceChildren(avatar({ name: this.user.name, displayName: this.user.display_name }));
    $("#me").onclick = () => this.sheet("me");
  }

  #online(welcome) {
    this.settings = { degradation: welcome.policy.degradation, iceServers: welcome.ice_servers };
    this.call?.resume();
    this.#showSignaling(true);
  }

  #offline() {
    this.#showSignaling(false);
  }

  #showSignaling(online) {
    set(document.body, "data-signaling", online ? "online" : "offline");
    text($(".offline-note"), online ? "" : "No connection. Trying again…");
    this.screen.signalingOnline = online;
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

  // ---- which pane is shown; the address bar's history is what "back" walks

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
    openSheet(what, { session: this, name, signOut: () => (forgetSession(), location.reload()) });
  }

  // ---- calls

  #makeCall({ name, displayName, video, invite }) {
    const call = new Call({
      signaling: this.signaling, settings: this.settings, name, displayName, video, invite,
      onChange: (changed) => changed === this.call && this.#callChanged(changed),
    });
    this.call = call;
    return call;
  }

  place(name, video) {
    if (this.call && !this.call.over) return;
    const call = this.#makeCall({ name, displayName: this.chats.person(name).displayName, video });
    this.screen.show(call);
    call.place();
  }

  #receive(message) {
    if (message.type === "call.incoming") return this.#incoming(message);
    if (message.call_id && message.call_id === this.call?.id) this.call.handle(message);
  }

  #incoming(message) {
    if (this.call && !this.call.over) return; // Rings here already: the service repeats itself after a lost socket.
    const person = this.chats.person(message.from);
    person.displayName = message.display_name;
    const call = this.#makeCall({ name: message.from, displayName: message.display_name, video: message.media === "video", invite: message });
    call.ring();
    this.screen.show(call);
    navigator.vibrate?.([300, 200, 300]);
  }

  #callChanged(call) {
    if (call.over && !call.endedAtMs) this.#callEnded(call);
    this.screen.show(call);
  }

  #callEnded(call) {
    call.endedAtMs = Date.now();
    const [from, to] = call.outgoing ? [this.user.name, call.name] : [call.name, this.user.name];
    this.chats.addCall(call.name, {
      call_id: call.id, from, to, media: call.wantsVideo ? "video" : "audio", at_ms: call.placedAtMs,
      answered: Boolean(call.startedAtMs), duration_ms: call.startedAtMs ? call.endedAtMs - call.startedAtMs : null, outcome: call.endReason,
    });
  }

  closeCall() {
    this.call = null;
    this.screen.hide();
  }
}

function start(saved) {
  session = new Session(saved);
}

/** For people who debug; nothing in the product reads it. */
window.ringfenceApp = {
  state: () => ({
    signaling: document.body.dataset.signaling,
    rtt_ms: session?.signaling.rttMs ?? null,
    degradation: session?.settings.degradation,
    call: session?.call && {
      id: session.call.id, state: session.call.state, media: session.call.media, quality: session.call.quality, cap: session.call.cap,
      far_cap: session.call.farCap, fallback: session.call.fallback, end_reason: session.call.endReason, read: session.call.read,
    },
  }),
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submitSignIn();
});
const saved = savedSession();
if (saved) start(saved);
else {
  showSignIn();
  if (window.earlySubmit) submitSignIn();
}
