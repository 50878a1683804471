// At most one call at a time, and its one screen.

import { Call } from "./call.js";
import { avatar, duration, h, hueOf, icon, set, text } from "./dom.js";

const QUALITY = { good: "Good connection", fair: "Fair connection", poor: "Poor connection" };

/** Endings that leave nothing to read or to decide: their screen closes by itself. */
const CLOSES_ITSELF = new Set(["hangup", "answered_elsewhere"]);
const CLOSE_AFTER_MS = 20000;

function endWords({ endReason, displayName, outgoing, startedAtMs, endedAtMs }) {
  const name = displayName;
  const words = {
    hangup: startedAtMs ? `Call ended · ${duration(endedAtMs - startedAtMs)}` : "Call ended",
    declined: outgoing ? `${name} declined the call` : "You declined the call",
    canceled: outgoing ? "Call canceled" : `Missed call from ${name}`,
    no_answer: outgoing ? `${name} didn’t answer` : `Missed call from ${name}`,
    blocked: `${name} only takes calls from people they follow`,
    busy: `${name} is on another call`,
    offline: `${name} is offline right now`,
    answered_elsewhere: "Answered on another device",
    peer_lost: `${name} lost the connection`,
    media_lost: "The connection was lost",
    no_media: "Couldn’t connect. One of you may have a weak connection.",
    no_connection: "You’re offline",
    microphone_denied: "Allow the microphone in your browser’s settings to make calls.",
    no_microphone: "No microphone found",
    insecure_page: "Calls need a secure (https) page.",
  };
  return words[endReason] ?? "Call ended";
}

/** The one thing worth telling right now, most urgent first. */
function bannerWords(call, signalingOnline) {
  const { cap, farCap, displayName: name, wantsVideo } = call;
  if (call.state !== "in-call") return call.notice;
  if (call.mediaLost) return "Connection lost. Reconnecting…";
  if (call.notice) return call.notice;
  if (cap !== "video" && wantsVideo) return "Poor connection: video paused";
  if (cap === "low-audio") return "Poor connection: using less data for sound";
  if (!signalingOnline) return "Reconnecting to Ringline. Your call goes on.";
  if (farCap !== "video") return wantsVideo ? `${name}’s connection is poor: video paused` : `${name}’s connection is poor`;
  return "";
}

function statusWords(call) {
  const kind = call.media === "video" ? "video call" : "audio call";
  switch (call.state) {
    case "calling": return "Calling…";
    case "ringing": return "Ringing…";
    case "incoming": return `Incoming ${kind}`;
    case "connecting": return "Connecting…";
    case "in-call": return duration(Date.now() - call.startedAtMs);
    default: return endWords(call);
  }
}

function play(element, track) {
  if ((element.srcObject?.getTracks()[0] ?? null) === (track ?? null)) return;
  element.srcObject = track ? new MediaStream([track]) : null;
  if (track) element.play().catch(() => {});
}

/** `actions`: `{again(call), close()}`. */
class CallScreen {
  #root = document.querySelector("#call-screen");
  #app = document.querySelector("#app");
  #parts = null;
  #call = null;
  #clock = 0;
  #closing;
  #focusBack = null;
  #signalingOnline = true;
  #actions;

  constructor(actions) {
    this.#actions = actions;
    this.#root.addEventListener("keydown", ({ key }) => key === "Escape" && this.#call?.over && actions.close());
  }

  #button(testid, name, label, onclick, extra = "") {
    const caption = h("span", {}, label);
    return h("button", { class: `round ${extra}`, "data-testid": testid, onclick }, h("i", {}, icon(name)), caption);
  }

  #build(call) {
    const on = (act) => () => act(this.#call);
    const kind = call.media === "video" ? "video" : "phone";
    const face = avatar(call);
    const parts = {
      remote: h("video", { class: "remote", autoplay: true, playsinline: true }),
      local: h("video", { class: "local", autoplay: true, playsinline: true }),
      audio: h("audio", { autoplay: true }),
      name: h("h2", { id: "call-name" }, call.displayName),
      status: h("p", { class: "call-status", "aria-live": "polite" }),
      clock: h("p", { class: "call-status", role: "timer" }),
      quality: h("p", { class: "quality" }, h("i"), h("i"), h("i"), h("span", { role: "status" })),
      banner: h("p", { class: "banner", role: "status", "data-testid": "call-banner" }),
      mute: this.#button("mute", "mic", "Mute", on((c) => c.toggleMute())),
      camera: this.#button("camera", "video", "Camera", on((c) => c.toggleCamera())),
      hangUp: this.#button("hang-up", "phone", "End", on((c) => c.hangUp()), "red down"),
      decline: this.#button("decline", "phone", "Decline", on((c) => c.hangUp()), "red down"),
      audioOnly: this.#button("answer-audio", "phone", "Audio only", on((c) => c.answer({ audioOnly: true }))),
      answer: this.#button("answer", kind, "Answer", on((c) => c.answer()), "green"),
      again: this.#button("call-again", kind, "Call again", on((c) => this.#actions.again(c)), "green"),
      close: this.#button("close-call", "close", "Close", () => this.#actions.close()),
    };
    parts.local.muted = parts.remote.muted = true;
    const buttons = ["mute", "camera", "decline", "audioOnly", "answer", "hangUp", "close", "again"].map((key) => parts[key]);
    this.#root.style.setProperty("--hue", hueOf(call.name));
    this.#root.replaceChildren(
      parts.remote, parts.local, parts.audio,
      h("div", { class: "call-head" }, h("div", { class: "pulse" }, face), parts.name, parts.status, parts.clock, parts.quality, parts.banner),
      h("div", { class: "call-controls" }, ...buttons),
    );
    this.#parts = parts;
  }

  show(call) {
    if (call !== this.#call) {
      this.#stopClosing();
      this.#call = call;
      this.#build(call);
      if (this.#root.hidden) this.#focusBack = document.activeElement;
      this.#root.hidden = !(this.#app.inert = true);
      this.draw();
      this.#focus();
      clearInterval(this.#clock);
      this.#clock = setInterval(() => this.#tick(), 1000);
    } else this.draw();
    if (call.over && CLOSES_ITSELF.has(call.endReason)) this.#closing ??= setTimeout(() => this.#actions.close(), CLOSE_AFTER_MS);
  }

  #stopClosing() {
    clearTimeout(this.#closing);
    this.#closing = undefined;
  }

  hide() {
    clearInterval(this.#clock);
    this.#stopClosing();
    this.#call = this.#parts = null;
    this.#root.hidden = !(this.#app.inert = false);
    this.#root.replaceChildren();
    for (const name of ["state", "callId", "media", "quality", "fallback", "endReason"]) delete this.#root.dataset[name];
    this.#focusBack?.focus?.();
  }

  set signalingOnline(online) {
    this.#signalingOnline = online;
    if (this.#call) this.draw();
  }

  draw() {
    const call = this.#call;
    const parts = this.#parts;
    const wasState = this.#root.dataset.state;
    for (const [name, value] of Object.entries({
      "data-state": call.state, "data-call-id": call.id, "data-media": call.media, "data-quality": call.quality,
      "data-fallback": call.fallback, "data-end-reason": call.endReason || null,
      "data-remote-video": call.farVideo, "data-local-video": Boolean(call.camera),
    })) set(this.#root, name, value);
    this.#drawWords(call, parts);
    this.#drawButtons(call, parts);
    play(parts.audio, call.remoteTracks.audio);
    play(parts.remote, call.farVideo ? call.remoteTracks.video : null);
    play(parts.local, call.camera);
    if (wasState && wasState !== call.state) this.#focus();
  }

  #drawWords(call, parts) {
    const talking = call.state === "in-call";
    text(parts.status, talking ? "" : statusWords(call));
    text(parts.clock, talking ? statusWords(call) : "");
    text(parts.quality.lastElementChild, talking ? QUALITY[call.quality] : "");
    parts.quality.hidden = !talking;
    const banner = bannerWords(call, this.#signalingOnline);
    text(parts.banner, banner);
    parts.banner.hidden = !banner;
  }

  #drawButtons(call, parts) {
    const talking = ["calling", "ringing", "connecting", "in-call"].includes(call.state);
    const incoming = call.state === "incoming";
    const shown = {
      mute: talking, camera: call.state === "in-call", hangUp: talking, decline: incoming, answer: incoming,
      audioOnly: incoming && call.media === "video", close: call.over, again: call.over,
    };
    for (const [name, visible] of Object.entries(shown)) parts[name].hidden = !visible;
    set(parts.mute, "aria-pressed", String(call.muted));
    text(parts.mute.lastElementChild, call.muted ? "Unmute" : "Mute");
    set(parts.camera, "aria-pressed", String(Boolean(call.camera)));
    text(parts.camera.lastElementChild, call.camera ? "Stop video" : "Video");
  }

  #tick() {
    if (this.#call?.state === "in-call") text(this.#parts.clock, statusWords(this.#call));
  }

  #focus() {
    const main = { incoming: "answer", ended: "close" }[this.#call.state] ?? "hangUp";
    this.#parts[main].focus({ preventScroll: true });
  }
}

/** 96 random bits; `crypto.randomUUID` is missing on plain http. */
const freshId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Calls {
  #session;
  #settings = { degradation: true, iceServers: [] };
  #screen;
  #call = null;

  constructor(session) {
    this.#session = session;
    this.#screen = new CallScreen({
      again: (call) => this.place(call.name, call.wantsVideo),
      close: () => {
        this.#call = null;
        this.#screen.hide();
      },
    });
    addEventListener("pagehide", () => this.#call?.hangUp());
  }

  get #busy() {
    return this.#call && !this.#call.over;
  }

  signaling(online, welcome) {
    if (welcome) {
      this.#settings = { degradation: welcome.policy.degradation, iceServers: welcome.ice_servers };
      this.#call?.resume();
    }
    this.#screen.signalingOnline = online;
  }

  place(name, video) {
    if (this.#busy) return;
    const { displayName } = this.#session.chats.person(name);
    this.#open({ id: freshId(), name, displayName, video }).place();
  }

  receive(message) {
    if (message.type === "call.incoming") this.#incoming(message);
    else if (message.call_id === this.#call?.id) this.#call.handle(message);
  }

  #incoming(invite) {
    if (this.#busy) return; // Rings here already: the service repeats itself after a lost socket.
    const { from: name, display_name: displayName, media } = invite;
    this.#session.chats.person(name).displayName = displayName;
    this.#open({ id: invite.call_id, name, displayName, video: media === "video", invite }).ring();
    navigator.vibrate?.([300, 200, 300]);
  }

  #open(whom) {
    const { signaling } = this.#session;
    const onChange = (call) => call === this.#call && this.#changed(call);
    this.#call = new Call({ signaling, settings: this.#settings, onChange, ...whom });
    this.#screen.show(this.#call);
    return this.#call;
  }

  #changed(call) {
    if (call.over && !call.endedAtMs) this.#ended(call);
    this.#screen.show(call);
  }

  /** The thread shows the call without asking the service for it. */
  #ended(call) {
    call.endedAtMs = Date.now();
    const { user, chats } = this.#session;
    chats.addCall(call.name, {
      call_id: call.id, from: call.outgoing ? user.name : call.name, media: call.wantsVideo ? "video" : "audio", at_ms: call.placedAtMs,
      answered: Boolean(call.startedAtMs), duration_ms: call.startedAtMs && call.endedAtMs - call.startedAtMs, outcome: call.endReason,
    });
  }

  state() {
    return { settings: this.#settings, call: { ...this.#call } };
  }
}
