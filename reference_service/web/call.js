// One call: its state, its messages, its media. Draws nothing.

import { LOW_AUDIO, audioPreference } from "./sdp.js";
import { CAPS, judge, openPolicy, startCap } from "./degradation.js";
import { Peer, openCamera, openMedia } from "./peer.js";

const PROBE_MS = 600;
const CONNECT_MS = 30000;
const REPAIR_MS = 15000;
const REPORT_MS = 15000;
const NOTICE_MS = 6000;
const KEEP = { keep: true };

export class Call {
  endReason = "";
  quality = "good";
  read = null;
  muted = false;
  cap = "video"; // The most that our own network is trusted with.
  camera = null;
  remoteTracks = {};
  placedAtMs = Date.now();
  startedAtMs = null;
  endedAtMs = null;
  mediaLost = false;
  notice = "";
  #farPaused = false;
  #farLow = false;
  #farLimit = "video";
  #signaling; #settings; #invite; #changed; #peer; #policy; #microphone;
  #timers = {};
  #chain = Promise.resolve();
  #offering = "";
  #again = "";
  #invited = false;
  #reportedAtMs;

  /** `invite`: the `call.incoming`, if it is one. */
  constructor({ signaling, settings, id, name, displayName, video, invite, onChange }) {
    Object.assign(this, { id, name, displayName, wantsVideo: video, outgoing: !invite });
    this.state = invite ? "incoming" : "calling";
    [this.#invite, this.#signaling, this.#settings] = [invite, signaling, settings];
    this.#changed = () => onChange(this);
    this.#peer = new Peer(settings.iceServers);
    this.#peer.addEventListener("candidate", ({ detail }) => this.#send("call.candidate", { candidate: detail }));
    this.#peer.addEventListener("state", ({ detail }) => this.#connection(detail));
    this.#peer.addEventListener("track", ({ detail }) => {
      this.remoteTracks[detail.kind] = detail;
      this.#changed();
    });
  }

  get over() {
    return this.state === "ended";
  }

  get #low() {
    return this.cap === "low-audio";
  }

  get #ownMedia() {
    return this.camera ? "video" : "audio";
  }

  get sendsVideo() {
    return Boolean(this.camera) && this.#peer.agreed("video", "send");
  }

  get farVideo() {
    return !this.#farPaused && this.#peer.agreed("video", "recv");
  }

  /** The same of the far end, as its descriptions and its messages say. */
  get farCap() {
    return this.#farLow ? "low-audio" : this.#farLimit;
  }

  get media() {
    if (this.over) return "audio";
    if (["in-call", "connecting"].includes(this.state)) return this.sendsVideo || this.farVideo ? "video" : "audio";
    return this.#invite?.media ?? (this.wantsVideo && this.cap === "video" ? "video" : "audio");
  }

  /** How far below what was asked the call runs, for either end's sake. */
  get fallback() {
    const worst = CAPS[Math.max(CAPS.indexOf(this.cap), CAPS.indexOf(this.farCap))];
    return worst === "video" || (worst === "audio" && !this.wantsVideo) ? "none" : worst;
  }

  #send(type, fields = {}, options = {}) {
    return this.#signaling.send({ type, call_id: this.id, ...fields }, options);
  }

  #enter(state) {
    this.state = state;
    this.#changed();
    if (state === "connecting") this.#after(CONNECT_MS, "connect", () => this.hangUp("no_media"));
  }

  /** One description at a time; a failure never blocks the next. */
  #queue(job) {
    this.#chain = this.#chain.then(() => (this.over ? undefined : job())).catch((error) => console.warn("call:", error.message));
    return this.#chain;
  }

  #capFor(rttMs) {
    return startCap({ enabled: this.#settings.degradation, rttMs, effectiveType: navigator.connection?.effectiveType });
  }

  async place() {
    if (!this.#signaling.online) return this.end("no_connection");
    const probe = this.#signaling.probe(PROBE_MS);
    // A network that is known to be poor does not even open the camera.
    const hopeful = this.#capFor(this.#signaling.rttMs) === "video";
    if (!(await this.#open(this.wantsVideo && hopeful))) return;
    this.cap = this.#capFor(await probe);
    if (this.cap !== "video") this.#dropCamera();
    this.#changed();
    await this.#queue(async () => {
      await this.#peer.setTrack("audio", this.#microphone);
      if (this.camera) await this.#peer.setTrack("video", this.camera);
      const sdp = await this.#peer.offer({ low: this.#low });
      if (this.over) return;
      this.#invited = this.#send("call.invite", { to: this.name, media: this.#ownMedia, sdp });
      if (!this.#invited) this.end("no_connection");
    });
  }

  /** While the person decides, the network is measured. */
  ring() {
    this.#send("call.ringing");
    this.#signaling.measure().catch(() => {});
    this.#noteAudioPreference(this.#invite.sdp);
  }

  async answer({ audioOnly = false } = {}) {
    if (this.state !== "incoming") return;
    this.wantsVideo = this.#invite.media === "video" && !audioOnly;
    this.cap = this.#capFor(this.#signaling.rttMs);
    this.#enter("connecting");
    if (!(await this.#open(this.wantsVideo && this.cap === "video" && this.farCap === "video"))) return;
    await this.#queue(async () => {
      await this.#peer.apply("offer", this.#invite.sdp, { low: this.#low });
      await this.#peer.setTrack("audio", this.#microphone);
      await this.#answerVideo(audioOnly);
      const sdp = await this.#peer.answer({ low: this.#low });
      if (!this.over) this.#send("call.answer", { media: this.#ownMedia, sdp }, KEEP);
    });
    this.#changed();
  }

  #answerVideo(refused = false) {
    const without = refused || this.cap !== "video" ? "inactive" : "recvonly";
    return this.#peer.setTrack("video", this.camera, this.camera ? "sendrecv" : without);
  }

  /** False when the call is over, or cannot be: no microphone. */
  async #open(video) {
    try {
      const { microphone, camera, cameraError } = await openMedia({ video });
      this.#microphone = microphone;
      this.camera = camera;
      if (this.over) this.#stopTracks();
      if (cameraError) this.#cameraFailed();
      microphone.enabled = !this.muted;
    } catch (error) {
      if (this.#invite && !this.over) this.#send("call.decline", {}, KEEP);
      this.end({ SecurityError: "insecure_page", NotAllowedError: "microphone_denied" }[error.name] ?? "no_microphone");
    }
    return !this.over;
  }

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
      case "error": return (message.code === "unknown_call" || message.code === "storage") && this.end("peer_lost");
    }
  }

  #answered({ sdp }) {
    if (!this.outgoing || !["calling", "ringing"].includes(this.state)) return;
    this.#enter("connecting");
    this.#noteAudioPreference(sdp);
    this.#queue(async () => {
      await this.#peer.apply("answer", sdp, { low: this.#low });
      if (!this.sendsVideo) this.#dropCamera(); // They answered with audio only.
      this.#changed();
    });
  }

  /** A far end that asks for low audio has no room for video either. */
  #noteAudioPreference(sdp) {
    this.#farLow = audioPreference(sdp).ptimeMs >= LOW_AUDIO.ptimeMs;
    if (this.#farLow) this.#pauseVideo();
  }

  #reoffered({ sdp, reason }) {
    this.#queue(async () => {
      // Both at once: the caller's offer stands, the callee takes its own back and repeats it later.
      if (!this.#peer.settled && this.outgoing) return;
      if (!this.#peer.settled) this.#again = this.#offering;
      await this.#peer.rollback();
      await this.#peer.apply("offer", sdp, { low: this.#low });
      this.#noteAudioPreference(sdp);
      if (reason === "upgrade") this.#farPaused = false;
      await this.#answerVideo();
      const answer = await this.#peer.answer({ low: this.#low });
      this.#send("call.reanswer", { media: this.#ownMedia, sdp: answer }, KEEP);
      this.#settled();
    });
  }

  #reanswered({ sdp }) {
    clearTimeout(this.#timers.reoffer);
    this.#queue(async () => {
      if (this.#peer.settled) return; // An answer to an offer that was taken back.
      await this.#peer.apply("answer", sdp, { low: this.#low });
      this.#noteAudioPreference(sdp);
      this.#settled();
    });
  }

  #farMedia({ media, reason }) {
    this.#farPaused = media !== "video";
    if (reason !== "camera") this.#farLimit = reason === "network" ? media.replace("_", "-") : "video";
    if (this.farCap !== "video") this.#pauseVideo();
    else this.#resumeVideo();
    this.#changed();
  }

  #renegotiate(reason, { iceRestart = false } = {}) {
    return this.#queue(async () => {
      if (!this.#peer.settled) return void (this.#again = reason);
      this.#offering = reason;
      const sdp = await this.#peer.offer({ low: this.#low, iceRestart });
      this.#send("call.reoffer", { media: this.#ownMedia, sdp, reason }, KEEP);
      this.#after(REPAIR_MS, "reoffer", () => this.#queue(() => this.#peer.rollback()));
    });
  }

  #settled() {
    if (this.#again && !(this.#again === "upgrade" && this.sendsVideo)) this.#renegotiate(this.#again);
    this.#again = "";
    this.#changed();
  }

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
    this.#reportedAtMs = performance.now();
    this.#enter("in-call");
    if (this.#low) this.#peer.limitAudio(LOW_AUDIO.maxAverageBitrate);
    if (this.cap !== "video") this.#tellCap();
    this.#policy = openPolicy({ enabled: this.#settings.degradation, cap: this.cap, atMs: performance.now() });
    const flags = () => ({ sendsVideo: this.sendsVideo, wantsVideo: this.wantsVideo, farIsLow: this.#farLow });
    this.#peer.watch(flags, (sample) => !this.over && this.#judge(sample));
  }

  #failed() {
    if (this.state !== "in-call") return this.hangUp("no_media");
    if (this.outgoing) this.#renegotiate("network", { iceRestart: true });
    this.#after(REPAIR_MS, "restart", () => this.hangUp("media_lost"));
  }

  #judge(sample) {
    this.#policy = judge(this.#policy, sample);
    Object.assign(this, { quality: this.#policy.quality, read: this.#policy.read });
    if (this.#policy.cap !== this.cap) this.#moveTo(this.#policy.cap);
    this.#changed();
    if (sample.atMs - this.#reportedAtMs < REPORT_MS) return;
    this.#reportedAtMs = sample.atMs;
    const { rttMs, loss } = this.read;
    this.#send("call.quality", { level: this.quality, rtt_ms: rttMs && Math.round(rttMs), loss_ratio: +loss.toFixed(3) });
  }

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
    const media = this.wantsVideo ? (limited ? "audio" : "video") : this.#low ? "low_audio" : "audio";
    this.#send("call.media", { media, reason: limited ? "network" : "restore" }, KEEP);
  }

  toggleMute() {
    this.muted = !this.muted;
    if (this.#microphone) this.#microphone.enabled = !this.muted;
    this.#changed();
  }

  async toggleCamera() {
    if (this.camera) {
      this.wantsVideo = false;
      this.#pauseVideo();
      this.#send("call.media", { media: "audio", reason: "camera" }, KEEP);
      return this.#changed();
    }
    if (this.cap !== "video") return this.say("Your connection is too weak for video right now.");
    if (this.farCap !== "video") return this.say(`${this.displayName}’s connection is too weak for video right now.`);
    this.wantsVideo = true;
    await this.#resumeVideo();
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
      else this.#send("call.media", { media: "video", reason: "camera" }, KEEP);
      this.#changed();
    });
  }

  #cameraFailed() {
    this.wantsVideo = false;
    this.say("Your camera isn’t available: the call goes on with audio.");
  }

  say(notice) {
    this.notice = notice;
    this.#after(NOTICE_MS, "notice", () => {
      this.notice = "";
      this.#changed();
    });
    this.#changed();
  }

  /** Shown at once, confirmed by the service later. */
  hangUp(reason = "") {
    if (this.over) return;
    const [message, word] = { incoming: ["decline", "declined"], calling: ["cancel", "canceled"], ringing: ["cancel", "canceled"] }[this.state] ?? ["hangup", "hangup"];
    if (this.#invite || this.#invited) this.#send(`call.${message}`, {}, KEEP);
    this.end(reason || word);
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

  resume() {
    if (!this.over && (this.#invite || this.#invited)) this.#send("call.resume");
  }

  #dropCamera() {
    this.camera?.stop();
    this.camera = null;
  }

  #stopTracks() {
    this.#microphone?.stop();
    this.#dropCamera();
  }

  #after(ms, name, act) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(act, ms);
  }
}
