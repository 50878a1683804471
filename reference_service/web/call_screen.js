// The call as a person sees it: one screen for ringing, talking and the goodbye.

import { avatar, duration, h, hueOf, icon, set, text } from "./dom.js";

const QUALITY = { good: "Good connection", fair: "Fair connection", poor: "Poor connection" };

/** Why a call ended, in words for the person who reads them. */
export function endWords({ endReason, displayName, outgoing, startedAtMs, endedAtMs }) {
  const name = displayName;
  const words = {
    hangup: startedAtMs ? `Call ended · ${duration(endedAtMs - startedAtMs)}` : "Call ended",
    declined: outgoing ? `${name} declined the call` : "You declined the call",
    canceled: outgoing ? "Call canceled" : `Missed call from ${name}`,
    no_answer: outgoing ? `${name} didn’t answer` : `Missed call from ${name}`,
    blocked: `${name} only takes calls from people they follow`,
    busy: `${name} is on another call`,
    offline: `${name} is offline right now`,
    unknown_user: "This account no longer exists",
    duplicate: "The call couldn’t be started. Try again.",
    answered_elsewhere: "Answered on another device",
    peer_lost: `${name} lost the connection`,
    media_lost: "The connection was lost",
    no_media: "Couldn’t connect. One of you may have a very weak connection.",
    no_connection: "You’re offline. Check your network and try again.",
    microphone_denied: "Ringline can’t use your microphone. Allow it in your browser’s settings to make calls.",
    no_microphone: "No microphone found. Plug one in to make calls.",
    insecure_page: "Calls need a secure (https) page.",
  };
  return words[endReason] ?? "Call ended";
}

/** The one thing worth telling right now, most urgent first; empty when all is well. */
export function bannerWords(call, signalingOnline) {
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
  if (track) element.play().catch(() => {}); // Superseded by a newer track, or the page may not make sound yet.
}

/** `actions`: `{again(call), close()}`. */
export class CallScreen {
  #root = document.querySelector("#call-screen");
  #parts = null;
  #call = null;
  #clock = 0;
  #focusBack = null;
  #signalingOnline = true;
  #actions;

  constructor(actions) {
    this.#actions = actions;
    this.#root.addEventListener("keydown", (event) => this.#keepFocus(event));
  }

  #button(testid, name, label, onclick, extra = "") {
    const caption = h("span", {}, label);
    return h("button", { class: `round ${extra}`, "data-testid": testid, onclick }, h("i", {}, icon(name)), caption);
  }

  #build(call) {
    const on = (act) => () => act(this.#call);
    const face = avatar(call);
    const parts = {
      remote: h("video", { class: "remote", autoplay: true, playsinline: true, "aria-label": `Video of ${call.displayName}` }),
      local: h("video", { class: "local", autoplay: true, playsinline: true, "aria-label": "Your camera" }),
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
      answer: this.#button("answer", "phone", "Answer", on((c) => c.answer()), "green"),
      again: this.#button("call-again", "phone", "Call again", on((c) => this.#actions.again(c)), "green"),
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
      this.#call = call;
      this.#build(call);
      if (this.#root.hidden) this.#focusBack = document.activeElement;
      this.#root.hidden = false;
      this.draw();
      this.#focus();
      clearInterval(this.#clock);
      this.#clock = setInterval(() => this.#tick(), 1000);
    } else this.draw();
  }

  hide() {
    clearInterval(this.#clock);
    this.#call = this.#parts = null;
    this.#root.hidden = true;
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
      "data-remote-video": call.farVideo ? "true" : null, "data-local-video": call.camera ? "true" : null,
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

  #visibleButtons() {
    return [...this.#root.querySelectorAll("button")].filter((button) => !button.hidden);
  }

  #focus() {
    const main = { incoming: "answer", ended: "close" }[this.#call.state] ?? "hangUp";
    this.#parts[main].focus({ preventScroll: true });
  }

  /** The rest of the page is out of reach while a call is on the screen. */
  #keepFocus(event) {
    if (event.key !== "Tab") return;
    const buttons = this.#visibleButtons();
    const at = buttons.indexOf(document.activeElement) + (event.shiftKey ? -1 : 1);
    buttons.at(at % buttons.length)?.focus();
    event.preventDefault();
  }
}
