// What a call's network is like, and which of video, audio and low audio it can carry. Pure: statistics in, decisions out.
//
// A queue that fills shows as a growing round trip long before packets are lost: 2G links buffer two seconds and more.
// So the policy steps down on growth, and on what is known before the call, not only on loss. It steps up again only
// after a quiet time, which doubles each time a step up turns out to have been wrong.

/** Caps, best first: the most that the network is trusted with. */
export const CAPS = ["video", "audio", "low-audio"];

/** Above this round trip a network counts as poor before the call begins. */
export const POOR_RTT_MS = 500;
const HOPELESS_RTT_MS = 1000;
const GROWTH_MS = 300;
const CALM_RTT_MS = 350;
const CALM_GROWTH_MS = 120;
const STRAINED_LOSS = 0.12;
const CALM_LOSS = 0.03;
const VIDEO_FLOOR_KBIT = 80;
const SEND_QUEUE_MS = 400;
const STRAIN_SAMPLES = 2;
const SETTLE_MS = 4000; // The effect of a step needs a round trip and a drained queue before it shows.
const FIRST_HOLD_MS = 15000;
const LONGEST_HOLD_MS = 120000;
const WINDOW = 5;

/** Before the call. `rttMs` null: never measured, then the browser's own estimate decides. */
export function isPoor({ rttMs, effectiveType }) {
  return rttMs === null ? /2g$/.test(effectiveType || "") : rttMs > POOR_RTT_MS;
}

/** The cap that a call starts with. */
export function startCap({ enabled, rttMs, effectiveType }) {
  return enabled && isPoor({ rttMs, effectiveType }) ? "low-audio" : "video";
}

/** The state of one call's policy. `sendsVideo` in samples says whether video is flowing, so that "audio" is a step at all. */
export function openPolicy({ enabled, cap, atMs }) {
  return {
    enabled, cap, samples: [], rtts: [], baseRttMs: null, strained: 0, calmSinceMs: null,
    settledAtMs: atMs + SETTLE_MS, holdMs: FIRST_HOLD_MS, raisedAtMs: null,
  };
}

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0);

function readings(state) {
  const loss = Math.max(mean(state.samples.map((s) => s.lossIn)), mean(state.samples.map((s) => s.lossOut)));
  // The lesser of the last two: one late packet is not a late network.
  const rttMs = state.rtts.length ? Math.min(...state.rtts) : null;
  return { loss, rttMs, growthMs: rttMs === null ? 0 : rttMs - state.baseRttMs };
}

/** What a person is told: one word from the round trip and the loss of the last five seconds. */
export function quality({ rttMs, loss }, silentMs = 0) {
  if (silentMs > 3000 || loss >= 0.1 || (rttMs ?? 0) >= 600) return "poor";
  return loss >= 0.03 || (rttMs ?? 0) >= 300 ? "fair" : "good";
}

function strain(state, sample, { rttMs, loss, growthMs }) {
  if (state.rtts.length > 1 && (growthMs > GROWTH_MS || rttMs > POOR_RTT_MS)) return "rtt";
  if (loss > STRAINED_LOSS && state.samples.length >= 3) return "loss";
  if (!sample.sendsVideo) return "";
  if (sample.availableKbit !== null && sample.availableKbit < VIDEO_FLOOR_KBIT) return "bandwidth";
  return sample.sendQueueMs > SEND_QUEUE_MS ? "bandwidth" : "";
}

function lowerCap(state, sample, { rttMs }) {
  if (state.cap === "audio" || !sample.sendsVideo) return "low-audio";
  return (rttMs ?? 0) > HOPELESS_RTT_MS || state.baseRttMs > POOR_RTT_MS ? "low-audio" : "audio";
}

function stepDown(state, sample, read) {
  // A raise that had to be taken back at once was a mistake: wait twice as long before the next.
  const regretted = state.raisedAtMs !== null && sample.atMs - state.raisedAtMs < 2 * FIRST_HOLD_MS;
  return {
    ...state, cap: lowerCap(state, sample, read), rtts: [], strained: 0, calmSinceMs: null, settledAtMs: sample.atMs + SETTLE_MS,
    holdMs: regretted ? Math.min(2 * state.holdMs, LONGEST_HOLD_MS) : state.holdMs, raisedAtMs: null,
  };
}

function stepUp(state, sample) {
  const cap = state.cap === "low-audio" && sample.wantsVideo ? "audio" : "video";
  return { ...state, cap, calmSinceMs: null, strained: 0, settledAtMs: sample.atMs + SETTLE_MS, raisedAtMs: sample.atMs };
}

/**
 * One second of a call. A sample: `{atMs, rttMs|null, lossIn, lossOut, sendQueueMs, availableKbit|null, silentMs, sendsVideo, wantsVideo}`;
 * `rttMs` only when measured since the last sample. Returns the next state, with `quality` and `read` for the interface.
 */
export function judge(previous, sample) {
  const state = { ...previous, samples: [...previous.samples, sample].slice(-WINDOW) };
  if (sample.rttMs !== null) {
    state.rtts = [...previous.rtts, sample.rttMs].slice(-2);
    state.baseRttMs = previous.baseRttMs === null ? sample.rttMs : Math.min(previous.baseRttMs, sample.rttMs);
  }
  const read = readings(state);
  state.read = read;
  state.quality = quality(read, sample.silentMs);
  if (!state.enabled) return state;

  const cause = strain(state, sample, read);
  if (cause) {
    state.strained = previous.strained + 1;
    state.calmSinceMs = null;
    const sure = cause === "rtt" || state.strained >= STRAIN_SAMPLES;
    return sure && state.cap !== "low-audio" && sample.atMs >= state.settledAtMs ? stepDown(state, sample, read) : state;
  }
  state.strained = 0;
  const calm = read.rttMs !== null && read.rttMs < CALM_RTT_MS && read.growthMs < CALM_GROWTH_MS && read.loss < CALM_LOSS;
  if (!calm) return { ...state, calmSinceMs: null };
  state.calmSinceMs = previous.calmSinceMs ?? sample.atMs;
  const restable = state.cap !== "video" && sample.atMs - state.calmSinceMs >= state.holdMs;
  return restable ? stepUp(state, sample) : state;
}

// ---- from the browser's statistics to a sample

const sum = (entries, field) => entries.reduce((total, entry) => total + (entry[field] || 0), 0);

/** The counters that matter out of an `RTCStatsReport` (or any iterable of `[id, stats]`). */
export function counters(report, atMs) {
  const all = [...report].map(([, stats]) => stats);
  const inbound = all.filter((s) => s.type === "inbound-rtp");
  const outbound = all.filter((s) => s.type === "outbound-rtp");
  const farEnd = all.filter((s) => s.type === "remote-inbound-rtp");
  const transport = all.find((s) => s.type === "transport");
  const pair = all.find((s) => s.type === "candidate-pair" && s.id === transport?.selectedCandidatePairId)
    || all.find((s) => s.type === "candidate-pair" && s.nominated && s.state === "succeeded");
  return {
    atMs,
    received: sum(inbound, "packetsReceived"),
    lostIn: sum(inbound, "packetsLost"),
    sent: sum(outbound, "packetsSent"),
    farLossRatio: Math.max(0, ...farEnd.map((s) => s.fractionLost || 0)), // Of the far end's last report interval.
    sendDelayS: sum(outbound, "totalPacketSendDelay"),
    audioReceived: sum(inbound.filter((s) => s.kind === "audio"), "packetsReceived"),
    videoFramesIn: sum(inbound.filter((s) => s.kind === "video"), "framesDecoded"),
    farRttMs: Math.max(-1, ...farEnd.filter((s) => s.kind === "audio" && s.roundTripTime !== undefined).map((s) => s.roundTripTime * 1000)),
    farRttCount: sum(farEnd.filter((s) => s.kind === "audio"), "roundTripTimeMeasurements"),
    pairRttMs: pair?.currentRoundTripTime === undefined ? -1 : pair.currentRoundTripTime * 1000,
    pairRttCount: pair?.responsesReceived || 0,
    availableKbit: pair?.availableOutgoingBitrate ? pair.availableOutgoingBitrate / 1000 : null,
  };
}

/** A round trip counts only when it was measured since the last report: a stale one would be judged again and again. */
function freshRtt(before, now) {
  const fresh = [];
  if (now.farRttCount > before.farRttCount && now.farRttMs >= 0) fresh.push(now.farRttMs);
  if (now.pairRttCount > before.pairRttCount && now.pairRttMs >= 0) fresh.push(now.pairRttMs);
  return fresh.length ? Math.max(...fresh) : null;
}

const ratio = (part, whole) => (whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0);

/** The sample between two sets of counters. `silentSinceMs` is when the last packet of the far end's voice came. */
export function sampleOf(before, now, { silentSinceMs, sendsVideo, wantsVideo }) {
  const sent = now.sent - before.sent;
  const lostIn = now.lostIn - before.lostIn;
  return {
    atMs: now.atMs,
    rttMs: freshRtt(before, now),
    lossIn: ratio(lostIn, now.received - before.received + lostIn),
    lossOut: now.farLossRatio,
    sendQueueMs: sent > 0 ? ((now.sendDelayS - before.sendDelayS) / sent) * 1000 : 0,
    availableKbit: sendsVideo ? now.availableKbit : null,
    silentMs: now.atMs - silentSinceMs,
    sendsVideo,
    wantsVideo,
  };
}
