// What a network can carry: statistics in, decisions out. Pure. A filling queue shows as a growing round trip long before
// packets are lost (2G buffers seconds), so growth steps down; a quiet time steps up, and doubles when that was wrong.

/** The most that a network is trusted with, best first. */
export const CAPS = ["video", "audio", "low-audio"];

const POOR_RTT_MS = 500;
const GROWTH_MS = 300;
const CALM_RTT_MS = 350;
const CALM_GROWTH_MS = 120;
const STRAINED_LOSS = 0.12;
const CALM_LOSS = 0.03;
const VIDEO_FLOOR_KBIT = 80;
const SETTLE_MS = 4000; // A step needs a round trip and a drained queue before it shows.
const FIRST_HOLD_MS = 15000;
const LONGEST_HOLD_MS = 120000;
const WINDOW = 5;

/** `rttMs` null, never measured: the browser's own estimate decides. */
function isPoor({ rttMs, effectiveType }) {
  return rttMs === null ? /2g$/.test(effectiveType || "") : rttMs > POOR_RTT_MS;
}

export function startCap(network) {
  return network.enabled && isPoor(network) ? "low-audio" : "video";
}

export function openPolicy({ enabled, cap, atMs }) {
  return {
    enabled, cap, samples: [], rtts: [], baseRttMs: null, strained: 0, calmSinceMs: null,
    settledAtMs: atMs + SETTLE_MS, holdMs: FIRST_HOLD_MS, raisedAtMs: null,
  };
}

const mean = (values) => values.reduce((total, value) => total + value, 0) / values.length;

function readings({ samples, rtts, baseRttMs }) {
  const loss = Math.max(mean(samples.map((s) => s.lossIn)), mean(samples.map((s) => s.lossOut)));
  const rttMs = rtts.length ? Math.min(...rtts) : null; // Of the last two: one late packet is not a late network.
  return { loss, rttMs, growthMs: rttMs === null ? 0 : rttMs - baseRttMs };
}

function quality({ rttMs, loss }, silentMs) {
  if (silentMs > 3000 || loss >= 0.1 || rttMs >= 600) return "poor";
  return loss >= 0.03 || rttMs >= 300 ? "fair" : "good";
}

/** How many seconds of strain this one counts for; two are enough for a step. */
function strain({ rtts, samples }, sample, { rttMs, loss, growthMs }) {
  if (rtts.length > 1 && (growthMs > GROWTH_MS || rttMs > POOR_RTT_MS)) return 2;
  if (samples.length > 2 && loss > STRAINED_LOSS) return 1;
  return sample.sendsVideo && sample.availableKbit !== null && sample.availableKbit < VIDEO_FLOOR_KBIT ? 1 : 0;
}

function step(state, sample, cap, change) {
  return { ...state, cap, strained: 0, calmSinceMs: null, raisedAtMs: null, settledAtMs: sample.atMs + SETTLE_MS, ...change };
}

function stepDown(state, sample) {
  const hopeless = state.baseRttMs > POOR_RTT_MS; // Never mind what our own video queued.
  const cap = state.cap === "audio" || !sample.sendsVideo || hopeless ? "low-audio" : "audio";
  const regretted = state.raisedAtMs !== null && sample.atMs - state.raisedAtMs < 2 * FIRST_HOLD_MS;
  const holdMs = regretted ? Math.min(2 * state.holdMs, LONGEST_HOLD_MS) : state.holdMs;
  return step(state, sample, cap, { holdMs, rtts: [] });
}

function stepUp(state, sample) {
  return step(state, sample, state.cap === "low-audio" && sample.wantsVideo ? "audio" : "video", { raisedAtMs: sample.atMs });
}

/**
 * One second of a call: `{atMs, rttMs, lossIn, lossOut, availableKbit, silentMs, sendsVideo, wantsVideo, farIsLow}`; `rttMs` null
 * unless measured in it, `farIsLow` when nothing is left to lower. Returns the next state, with `quality` and `read`.
 */
export function judge(previous, sample) {
  const state = { ...previous, samples: [...previous.samples, sample].slice(-WINDOW) };
  if (sample.rttMs !== null) {
    state.rtts = [...previous.rtts, sample.rttMs].slice(-2);
    state.baseRttMs = Math.min(previous.baseRttMs ?? Infinity, sample.rttMs);
  }
  const read = (state.read = readings(state));
  state.quality = quality(read, sample.silentMs);
  if (!state.enabled) return state;

  const strained = strain(state, sample, read);
  const calm = !strained && read.rttMs !== null && read.rttMs < CALM_RTT_MS && read.growthMs < CALM_GROWTH_MS && read.loss < CALM_LOSS;
  state.strained = strained && previous.strained + strained;
  state.calmSinceMs = calm ? (previous.calmSinceMs ?? sample.atMs) : null;
  if (state.strained > 1 && state.cap !== "low-audio" && !sample.farIsLow && sample.atMs >= state.settledAtMs) return stepDown(state, sample);
  return calm && state.cap !== "video" && sample.atMs - state.calmSinceMs >= state.holdMs ? stepUp(state, sample) : state;
}

export function counters(report, atMs) {
  const all = [...report].map(([, stats]) => stats);
  const sum = (type, field, kind) => all.reduce((total, s) => total + (s.type === type && (!kind || s.kind === kind) && s[field] || 0), 0);
  const far = all.filter((s) => s.type === "remote-inbound-rtp");
  const farAudio = far.find((s) => s.kind === "audio");
  const pair = all.find((s) => s.type === "candidate-pair" && s.nominated && s.state === "succeeded");
  return {
    atMs,
    received: sum("inbound-rtp", "packetsReceived"),
    lostIn: sum("inbound-rtp", "packetsLost"),
    voice: sum("inbound-rtp", "packetsReceived", "audio"),
    farLoss: Math.max(0, ...far.map((s) => s.fractionLost || 0)), // Of the far end's last report interval.
    rtts: [[farAudio?.roundTripTime, farAudio?.roundTripTimeMeasurements], [pair?.currentRoundTripTime, pair?.responsesReceived]],
    availableKbit: pair?.availableOutgoingBitrate / 1000 || null,
  };
}

/** A round trip counts only when measured since `before`. */
export function sampleOf(before, now, flags) {
  const lost = Math.max(0, now.lostIn - before.lostIn);
  const fresh = now.rtts.filter(([seconds, count], at) => seconds !== undefined && count > (before.rtts[at][1] || 0)).map(([seconds]) => seconds * 1000);
  return {
    atMs: now.atMs,
    rttMs: fresh.length ? Math.max(...fresh) : null,
    lossIn: lost / Math.max(1, now.received - before.received + lost),
    lossOut: now.farLoss,
    availableKbit: now.availableKbit,
    ...flags,
  };
}
