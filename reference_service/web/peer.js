// One RTCPeerConnection and its tracks; knows nothing of calls.

import { counters, sampleOf } from "./degradation.js";
import { compactCandidate, fromWire, toWire } from "./sdp.js";

const GATHER_MS = 80; // Inside the offer, candidates cost no message of their own.
const CAPTURE = { width: { ideal: 320 }, height: { ideal: 240 }, frameRate: { ideal: 15 }, facingMode: { ideal: "user" } };
const VIDEO_ENCODING = { maxBitrate: 200_000, maxFramerate: 15 };

/** A camera that fails never costs the call: `cameraError` says why. */
export async function openMedia({ video }) {
  const devices = navigator.mediaDevices;
  if (!devices) throw new DOMException("needs a secure page", "SecurityError");
  let camera = null;
  if (video) {
    const both = await devices.getUserMedia({ audio: true, video: CAPTURE }).catch((error) => ({ cameraError: error }));
    if (!both.cameraError) return { microphone: both.getAudioTracks()[0], camera: both.getVideoTracks()[0], cameraError: null };
    camera = both.cameraError;
  }
  const stream = await devices.getUserMedia({ audio: true });
  return { microphone: stream.getAudioTracks()[0], camera: null, cameraError: camera };
}

export async function openCamera() {
  return (await navigator.mediaDevices.getUserMedia({ video: CAPTURE })).getVideoTracks()[0];
}

/** Offers may cross: ends that offer the same few extensions give them the same numbers. */
function dropExtensions(transceiver, kind) {
  const keep = kind === "audio" ? /sdes:mid/ : /sdes:mid|abs-send-time|transport-wide-cc/;
  const all = transceiver.getHeaderExtensionsToNegotiate?.().map((e) => (keep.test(e.uri) ? e : { ...e, direction: "stopped" }));
  if (all) transceiver.setHeaderExtensionsToNegotiate(all);
}

/** Events: `candidate` (to send, null at the end), `state` (of the connection), `track` (from the far end). */
export class Peer extends EventTarget {
  #pc;
  #early = [];
  #trickles = false;
  #watching = 0;

  constructor(iceServers) {
    super();
    const pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    pc.onicecandidate = ({ candidate }) => this.#trickles && this.#trickle(candidate);
    pc.onconnectionstatechange = () => this.#tell("state", pc.connectionState);
    pc.ontrack = ({ track }) => this.#tell("track", track);
    this.#pc = pc;
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #trickle(candidate) {
    if (!candidate) return this.#tell("candidate", null);
    const text = compactCandidate(candidate.candidate);
    if (text) this.#tell("candidate", { candidate: text, sdpMid: candidate.sdpMid, sdpMLineIndex: candidate.sdpMLineIndex });
  }

  #transceiver(kind) {
    return this.#pc.getTransceivers().find((t) => t.receiver.track.kind === kind && !t.stopped);
  }

  get settled() {
    return this.#pc.signalingState === "stable";
  }

  /** Whether both ends agreed that `kind` flows that way: "send" or "recv". */
  agreed(kind, way) {
    const direction = this.#transceiver(kind)?.currentDirection;
    return direction === "sendrecv" || direction === `${way}only`;
  }

  /** Sends `track` from now on, nothing when null. Returns true when that needs a new offer. */
  async setTrack(kind, track, direction = "sendrecv") {
    const transceiver = this.#transceiver(kind);
    if (!transceiver) {
      if (!track) return false;
      this.#pc.addTrack(track); // Not addTransceiver: when both add video at once it takes the far end's offer.
      dropExtensions(this.#transceiver(kind), kind);
      return true;
    }
    await transceiver.sender.replaceTrack(track);
    if (transceiver.direction !== direction) transceiver.direction = direction;
    return Boolean(track) && !this.agreed(kind, "send");
  }

  /** At once, before a description has crossed a jammed link. */
  async limitAudio(bitsPerSecond) {
    await this.#encode("audio", (encoding) => {
      if (bitsPerSecond) encoding.maxBitrate = bitsPerSecond;
      else delete encoding.maxBitrate;
    });
  }

  async #encode(kind, change) {
    const sender = this.#transceiver(kind)?.sender;
    const parameters = sender?.getParameters();
    if (!parameters?.encodings?.length) return;
    parameters.encodings.forEach(change);
    await sender.setParameters(parameters).catch(() => {}); // A newer negotiation brings its own limits.
  }

  async offer({ low, iceRestart = false }) {
    await this.#pc.setLocalDescription(await this.#pc.createOffer({ iceRestart }));
    return this.#wire(low);
  }

  async answer({ low }) {
    await this.#pc.setLocalDescription(await this.#pc.createAnswer());
    return this.#wire(low);
  }

  async apply(type, sdp, { low }) {
    await this.#pc.setRemoteDescription({ type, sdp: fromWire(sdp, { low }) });
    await this.#encode("video", (encoding) => Object.assign(encoding, VIDEO_ENCODING));
    for (const candidate of this.#early.splice(0)) await this.addCandidate(candidate);
  }

  async rollback() {
    if (this.#pc.signalingState === "have-local-offer") await this.#pc.setLocalDescription({ type: "rollback" });
  }

  async addCandidate(candidate) {
    if (!this.#pc.remoteDescription) this.#early.push(candidate);
    // One of an earlier generation is refused; the others carry the call.
    else await this.#pc.addIceCandidate(candidate ?? undefined).catch(() => {});
  }

  async #wire(low) {
    const pc = this.#pc;
    const complete = () => pc.iceGatheringState === "complete";
    if (!complete()) {
      await new Promise((resolve) => {
        setTimeout(resolve, GATHER_MS);
        // Host candidates come together.
        pc.addEventListener("icecandidate", () => setTimeout(resolve, 10), { once: true });
      });
    }
    this.#trickles = !complete();
    return toWire(pc.localDescription.sdp, { low, complete: complete() });
  }

  watch(flags, onSample) {
    let before = null;
    let heardAtMs = performance.now();
    this.#watching = setInterval(async () => {
      const now = counters(await this.#pc.getStats(), performance.now());
      if (before && now.voice > before.voice) heardAtMs = now.atMs;
      if (before) onSample(sampleOf(before, now, { silentMs: now.atMs - heardAtMs, ...flags() }));
      before = now;
    }, 1000);
  }

  close() {
    clearInterval(this.#watching);
    this.#pc.close();
  }
}
