// One call, from the tap to the goodbye: its state, its messages, its media. Draws nothing; `onChange` says when to look.

import { LOW_AUDIO, audioWish } from "./sdp.js";
import { CAPS, counters, isPoor, judge, openPolicy, sampleOf, startCap } from "./degradation.js";
import { Peer, openCamera, openMedia } from "./peer.js";

const PROBE_MS = 600;
const CONNECT_WITHIN_MS = 30000;
const REOFFER_WITHIN_MS = 15000;
const RESTART_WITHIN_MS = 15000;
const REPORT_EVERY_MS = 15000;
const NOTICE_MS = 6000;

const rank = (cap) => CAPS.indexOf(cap);

/** 96 random bits; `crypto.randomUUID` is missing on plain http. */
function freshCallId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Call {
  state;
  endReason = "";
  quality = "good";
  muted = false;
  cap = "video"; // The most that our own network is trusted with.
  wantsVideo;
  camera = null;
  remoteTracks = {};
  placedAtMs = Date.now();
  startedAtMs = null;
  endedAtMs = null;
  mediaLost = false;
  notice = "";
  read = null;
  #farPaused = false;
  #farLow = false;
  #farLimit = "video";
  #peer;
  #policy = null;
  #microphone = null;
  #invite = null;
  #signaling;
  #settings;
  #onChange;
  #timers = {};
  #chain = Promise.resolve();
  #again = "";
  #sentInvite = false;
  #reportedAtMs = 0;

  /** `settings`: the welcome's `{degradation, iceServers}`. `invite` for an incoming call. */
  constructor({ signaling, settings, name, displayName, video, invite = null, onChange }) {
    Object.assign(this, { name, displayName, wantsVideo: video, outgoing: !invite, id: invite?.call_id ?? freshCallId() });
    this.state = invite ? "incoming" : "calling";
    this.#invite = invite;
    this.#signaling = signaling;
    this.#settings = settings;
    this.#onChange = onChange;
    this.#peer = new Peer(settings.iceServers);
    this.#peer.addEventListener("candidate", ({ detail }) => this.#send("call.candidate", { candidate: detail }));
    this.#peer.addEventListener("state", ({ detail }) => this.#connection(detail));
    this.#peer.addEventListener("track", ({ detail }) => this.#remoteTrack(detail));
  }

  get over() {
    return this.state === "ended";
  }

  get sendsVideo() {
    return Boolean(this.camera) && this.#peer.agreed("video", "send");
  }

  get farVideo() {
    return !this.#farPaused && this.#peer.agreed("video", "recv");
  }

  /** The most that the far end's network is trusted with, as its descriptions and its messages say. */
  get farCap() {
    return this.#farLow ? "low-audio" : this.#farLimit;
  }

  get media() {
    if (this.over) return "audio";
    if (["in-call", "connecting"].includes(this.state)) return this.sendsVideo || this.farVideo ? "video" : "audio";
    return this.outgoing ? (this.wantsVideo && this.cap === "video" ? "video" : "audio") : this.#invite.media;
  }

  /** How far below what people asked for the call runs, for either end's sake. */
  get fallback() {
    const worst = CAPS[Math.max(rank(this.cap), rank(this.farCap))];
    return worst === "video" || (worst === "audio" && !this.wantsVideo) ? "none" : worst;
  }

  get #low() {
    return this.cap === "low-audio";
  }

  #changed() {
    this.#onChange(this);
  }

  #send(type, fields = {}, options = {}) {
    return this.#signaling.send({ type, call_id: this.id, ...fields }, options);
  }

  #enter(state) {
    this.state = state;
    this.#changed();
  }

  /** Descriptions are exchanged one at a time; a failure of one never blocks the next. */
  #queue(job) {
    this.#chain = this.#chain.then(() => (this.over ? undefined : job())).catch((error) => console.warn("call:", error.message));
    return this.#chain;
  }

  #network(rttMs) {
    return { enabled: this.#settings.degradation, rttMs, effectiveType: navigator.connection?.effectiveType };
  }

  // ---- placing and answering

  async place() {
    if (!this.#signaling.online) return this.end("no_connection");
    const known = this.#network(this.#signaling.rttMs);
    const expectPoor = known.enabled && isPoor(known);
    const probe = this.#signaling.probe(PROBE_MS);
    if (!(await this.#open(this.wantsVideo && !expectPoor))) return;
    const rttMs = await probe;
    if (this.over) return;
    this.cap = startCap(this.#network(rttMs));
    if (this.cap !== "video") this.#dropCamera();
    this.#changed();
    await this.#queue(async () => {
      await this.#peer.setTrack("audio", this.#microphone);
      if (this.camera) await this.#peer.setTrack("video", this.camera);
      const sdp = await this.#peer.offer({ low: this.#low });
      if (this.over) return;
      this.#sentInvite = this.#send("call.invite", { to: this.name, media: this.camera ? "video" : "audio", sdp });
      if (!this.#sentInvite) this.end("no_connection");
    });
  }

  /** An incoming call rings: tell the caller, and look at the network while the person decides. */
  ring() {
    this.#send("call.ringing");
    this.#signaling.measure().catch(() => {});
    this.#noteWish(this.#invite.sdp);
  }

  async answer({ audioOnly = false } = {}) {
    if (this.state !== "incoming") return;
    this.wantsVideo = this.#invite.media === "video" && !audioOnly;
    this.cap = startCap(this.#network(this.#signaling.rttMs));
    this.#enter("connecting");
    this.#startTimer("connect", CONNECT_WITHIN_MS, () => this.hangUp("no_media"));
    if (!(await this.#open(this.wantsVideo && this.cap === "video" && this.farCap === "video"))) return;
    await this.#queue(async () => {
      await this.#peer.apply("offer", this.#invite.sdp, { low: this.#low });
      await this.#peer.setTrack("audio", this.#microphone);
      const refusesVideo = audioOnly || this.cap !== "video";
      if (this.#invite.media === "video") {
        await this.#peer.setTrack("video", this.camera, this.camera ? "sendrecv" : refusesVideo ? "inactive" : "recvonly");
      }
      const sdp = await this.#peer.answer({ low: this.#low });
      if (!this.over) this.#send("call.answer", { media: this.camera ? "video" : "audio", sdp }, { keep: true });
    });
    this.#changed();
  }

  /** Opens the microphone (and camera). False when the call is over or cannot be without one. */
  async #open(video) {
    try {
      const { microphone, camera, cameraError } = await openMedia({ video });
      this.#microphone = microphone;
      this.camera = camera;
      if (this.over) this.#stopTracks();
      if (cameraError) this.#cameraFailed();
      microphone.enabled = !this.muted;
    } catch (error) {
      if (!this.over) this.#noMicrophone(error);
    }
    return !this.over;
  }

  #noMicrophone(error) {
    if (!this.outgoing) this.#send("call.decline", {}, { keep: true });
    this.end(error.name === "SecurityError" ? "insecure_page" : error.name === "NotAllowedError" ? "microphone_denied" : "no_microphone");
  }

  // ---- messages of the far end

  handle(message) {
    if (this.over) return;
    switch (message.type) {
      case "call.ringing": return this.state === "calling" && this.#enter("ringing");
      case "call.refused": return this.end(message.code);
      case "call.answered": return this.#answered(message);
      case "call.candidate": return void this.#queue(() => this.#peer.addCandidate(message.candidate));
      case "call.reoffer": return this.#reoffered(message);
      case "call.reanswer": return this.#reanswered(message);
      case "call.media": return this.#farMedia(message);
      case "call.ended": return this.end(message.reason);
      case "error": return ["unknown_call", "no_such_call", "not_in_call"].includes(message.code) && this.end("peer_lost");
    }
  }

  #answered({ sdp }) {
    if (!this.outgoing || !["calling", "ringing"].includes(this.state)) return;
    this.#enter("connecting");
    this.#startTimer("connect", CONNECT_WITHIN_MS, () => this.hangUp("no_media"));
    this.#noteWish(sdp);
    this.#queue(() => this.#peer.apply("answer", sdp, { low: this.#low }));
  }

  /** A far end that asks for low audio has no room for video either. */
  #noteWish(sdp) {
    this.#farLow = audioWish(sdp).ptimeMs >= LOW_AUDIO.ptimeMs;
    if (this.#farLow) this.#pauseVideo();
  }

  #reoffered({ sdp, reason }) {
    this.#queue(async () => {
      // Both at once: the service let the other's through and refused ours, which is taken back and repeated later.
      if (!this.#peer.settled) this.#again = this.#again || "network";
      await this.#peer.apply("offer", sdp, { low: this.#low });
      this.#noteWish(sdp);
      if (reason === "upgrade") this.#farPaused = false;
      const refusesVideo = this.cap !== "video";
      await this.#peer.setTrack("video", this.camera, this.camera ? "sendrecv" : refusesVideo ? "inactive" : "recvonly");
      const answer = await this.#peer.answer({ low: this.#low });
      this.#send("call.reanswer", { media: this.camera ? "video" : "audio", sdp: answer }, { keep: true });
      this.#changed();
      this.#renegotiateAgain();
    });
  }

  #reanswered({ sdp }) {
    clearTimeout(this.#timers.reoffer);
    this.#queue(async () => {
      if (this.#peer.settled) return; // An answer to an offer that was taken back.
      await this.#peer.apply("answer", sdp, { low: this.#low });
      this.#noteWish(sdp);
      this.#changed();
      this.#renegotiateAgain();
    });
  }

  #farMedia({ media, reason }) {
    this.#farPaused = media !== "video";
    if (reason !== "camera") this.#farLimit = reason === "network" ? media.replace("_", "-") : "video";
    if (this.farCap !== "video") this.#pauseVideo();
    else this.#resumeVideo();
    this.#changed();
  }

  // ---- descriptions in the call

  #renegotiate(reason, { iceRestart = false } = {}) {
    return this.#queue(async () => {
      if (!this.#peer.settled) {
        this.#again = reason;
        return;
      }
      const sdp = await this.#peer.offer({ low: this.#low, iceRestart });
      this.#send("call.reoffer", { media: this.camera ? "video" : "audio", sdp, reason }, { keep: true });
      this.#startTimer("reoffer", REOFFER_WITHIN_MS, () => this.#queue(() => this.#peer.rollback()));
    });
  }

  #renegotiateAgain() {
    const reason = this.#again;
    this.#again = "";
    if (reason) this.#renegotiate(reason);
  }

  // ---- the connection and its quality

  #connection(state) {
    if (this.over) return;
    this.mediaLost = state === "disconnected" || state === "failed";
    if (state === "connected") this.#connected();
    if (state === "failed") this.#failed();
    this.#changed();
  }

  #connected() {
    clearTimeout(this.#timers.connect);
    clearTimeout(this.#timers.restart);
    if (this.state === "in-call") return;
    this.startedAtMs = Date.now();
    this.#enter("in-call");
    if (this.#low) this.#peer.limitAudio(LOW_AUDIO.maxAverageBitrate);
    if (this.cap !== "video") this.#tellCap();
    this.#watch();
  }

  #failed() {
    if (this.state !== "in-call") return this.hangUp("no_media");
    if (this.outgoing) this.#renegotiate("network", { iceRestart: true });
    this.#startTimer("restart", RESTART_WITHIN_MS, () => this.hangUp("media_lost"));
  }

  #watch() {
    const flags = () => ({ sendsVideo: this.sendsVideo, wantsVideo: this.wantsVideo });
    this.#policy = openPolicy({ enabled: this.#settings.degradation, cap: this.cap, atMs: performance.now() });
    this.#peer.watch(flags, (sample) => !this.over && this.#judge(sample));
  }

  #judge(sample) {
    this.#policy = judge(this.#policy, sample);
    this.quality = this.#policy.quality;
    this.read = this.#policy.read;
    if (this.#policy.cap !== this.cap) this.#moveTo(this.#policy.cap);
    this.#changed();
    if (sample.atMs - this.#reportedAtMs >= REPORT_EVERY_MS) this.#report(sample.atMs);
  }

  #report(atMs) {
    this.#reportedAtMs = atMs;
    const { rttMs, loss } = this.#policy.read;
    this.#send("call.quality", { level: this.quality, rtt_ms: rttMs === null ? undefined : Math.round(rttMs), loss_ratio: Number(loss.toFixed(3)) });
  }

  /** Our network carries less, or more, than it did. */
  #moveTo(cap) {
    const wasLow = this.#low;
    this.cap = cap;
    if (cap === "video") this.#resumeVideo();
    else this.#pauseVideo();
    this.#tellCap();
    if (this.#low === wasLow) return;
    this.#peer.limitAudio(this.#low ? LOW_AUDIO.maxAverageBitrate : null);
    this.#renegotiate(this.#low ? "network" : "restore");
  }

  #tellCap() {
    const limited = this.cap !== "video";
    const media = !limited && this.wantsVideo ? "video" : this.cap === "low-audio" && !this.wantsVideo ? "low_audio" : "audio";
    this.#send("call.media", { media, reason: limited ? "network" : "restore" }, { keep: true });
  }

  // ---- microphone and camera

  toggleMute() {
    this.muted = !this.muted;
    if (this.#microphone) this.#microphone.enabled = !this.muted;
    this.#changed();
  }

  async toggleCamera() {
    if (this.camera) {
      this.wantsVideo = false;
      this.#pauseVideo();
      this.#send("call.media", { media: "audio", reason: "camera" }, { keep: true });
      return this.#changed();
    }
    if (this.cap !== "video") return this.say("Your connection is too weak for video right now.");
    if (this.farCap !== "video") return this.say(`${this.displayName}’s connection is too weak for video right now.`);
    this.wantsVideo = true;
    await this.#resumeVideo();
  }

  #dropCamera() {
    this.camera?.stop();
    this.camera = null;
  }

  #pauseVideo() {
    if (!this.camera) return;
    this.#dropCamera();
    this.#queue(() => this.#peer.setTrack("video", null));
  }

  async #resumeVideo() {
    if (!this.wantsVideo || this.camera || this.cap !== "video" || this.farCap !== "video") return;
    const camera = await openCamera().catch(() => this.#cameraFailed());
    if (!camera) return this.#changed();
    if (this.over || this.camera || !this.wantsVideo || this.fallback !== "none") return camera.stop();
    this.camera = camera;
    this.#changed();
    await this.#queue(async () => {
      if (await this.#peer.setTrack("video", camera)) this.#renegotiate("upgrade");
      else this.#send("call.media", { media: "video", reason: "camera" }, { keep: true });
      this.#changed();
    });
  }

  #cameraFailed() {
    this.wantsVideo = false;
    this.say("Your camera isn’t available: the call goes on with audio.");
  }

  #remoteTrack(track) {
    this.remoteTracks = { ...this.remoteTracks, [track.kind]: track };
    this.#changed();
  }

  /** A sentence for a few seconds. */
  say(notice) {
    this.notice = notice;
    this.#startTimer("notice", NOTICE_MS, () => {
      this.notice = "";
      this.#changed();
    });
    this.#changed();
  }

  // ---- the end

  /** The person's own end of it; shown at once, confirmed by the service later. */
  hangUp(reason = "") {
    if (this.over) return;
    if (this.state === "incoming") this.#send("call.decline", {}, { keep: true });
    else if (["calling", "ringing"].includes(this.state)) this.#sentInvite && this.#send("call.cancel", {}, { keep: true });
    else this.#send("call.hangup", {}, { keep: true });
    this.end(reason || { incoming: "declined", calling: "canceled", ringing: "canceled" }[this.state] || "hangup");
  }

  end(reason) {
    if (this.over) return;
    this.endReason = reason;
    this.state = "ended";
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#stopTracks();
    this.#peer.close();
    this.#changed();
  }

  /** The socket is back: claim the call before the service gives it up. */
  resume() {
    if (["connecting", "in-call"].includes(this.state)) this.#send("call.resume");
  }

  #stopTracks() {
    this.#microphone?.stop();
    this.#dropCamera();
  }

  #startTimer(name, afterMs, act) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(act, afterMs);
  }
}
