// Descriptions as text. A browser's own 5 kB offer takes 1.4 s to leave at 30 kbit/s; on the wire go only Opus, VP8 and
// what they need: 0.8 kB. The local description stays whole: an answer to a subset answers the whole. Pure.

/** RFC 7587. 18.7 kbit/s on the wire; default Opus needs 44. */
export const LOW_AUDIO = { ptimeMs: 60, maxAverageBitrate: 12000 };

const DROP = /^a=(extmap-allow-mixed|msid-semantic|rtcp:|rtcp-xr:|rtcp-fb:\d+ rrtr|ssrc:\d+ msid)/;
const DROP_AUDIO = /^a=(extmap|rtcp-fb):/;
const DROP_VIDEO = /^a=extmap:(?!.*(abs-send-time|transport-wide-cc))/;

/** Edits each section's lines; the first is the session's. */
function edit(sdp, change) {
  const parts = sdp.split(/\r?\n(?=m=)/).map((part) => part.split(/\r?\n/).filter(Boolean));
  return parts.map((lines, at) => `${change(lines, at).join("\r\n")}\r\n`).join("");
}

const match = (lines, pattern) => lines.map((line) => pattern.exec(line)?.[1]).find(Boolean);
const opusOf = (lines) => match(lines, /^a=rtpmap:(\d+) opus\/48000/i);

/** Null for `tcp`, where nobody listens; else without the tail that is the browser's own. */
export function compactCandidate(candidate) {
  return /^(a=)?candidate:\S+ \d tcp /i.test(candidate) ? null : candidate.replace(/ generation .*/, "");
}

export function compact(sdp) {
  return edit(sdp, (lines, at) => {
    const audio = lines[0].startsWith("m=audio");
    const main = audio ? opusOf(lines) : match(lines, /^a=rtpmap:(\d+) VP8\//i);
    if (at && !main) return lines; // A codec we do not know: better a long description than a broken one.
    const repair = match(lines, new RegExp(`^a=fmtp:(\\d+) apt=${main}$`));
    const kept = lines.filter((line) => {
      const payload = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+)/.exec(line)?.[1];
      if (payload && payload !== main && payload !== repair) return false;
      return !DROP.test(line) && !(audio ? DROP_AUDIO : DROP_VIDEO).test(line);
    });
    if (at) kept[0] = [...kept[0].split(" ").slice(0, 3), main, repair].join(" ").trim();
    return kept.map((line) => (line.startsWith("a=candidate") ? compactCandidate(line) : line)).filter(Boolean);
  });
}

export function limitAudio(sdp, { ptimeMs, maxAverageBitrate }) {
  return edit(sdp, (lines) => {
    const opus = opusOf(lines);
    if (!opus) return lines;
    const fmtp = (match(lines, new RegExp(`^a=fmtp:${opus} (.*)`)) ?? "").replace(/;?\s*maxaveragebitrate=\d+/, "");
    const kept = lines.filter((line) => !/^a=(max)?ptime:/.test(line) && !line.startsWith(`a=fmtp:${opus} `));
    const rate = `maxaveragebitrate=${maxAverageBitrate}`;
    return [...kept, `a=fmtp:${opus} ${fmtp ? `${fmtp};` : ""}${rate}`, `a=ptime:${ptimeMs}`, `a=maxptime:${ptimeMs}`];
  });
}

/** What the far end wants to receive. */
export function audioPreference(sdp) {
  const lines = (sdp.split(/\r?\n(?=m=)/).find((part) => part.startsWith("m=audio")) ?? "").split(/\r?\n/);
  const number = (pattern) => Number(match(lines, pattern)) || null;
  return { ptimeMs: number(/^a=ptime:(\d+)/), maxAverageBitrate: number(/^a=fmtp:.*maxaveragebitrate=(\d+)/) };
}

/** For the far end; `complete` when no candidate will follow. */
export function toWire(sdp, { low = false, complete = false } = {}) {
  const wire = edit(compact(sdp), (lines, at) => (complete && at === 1 ? [...lines, "a=end-of-candidates"] : lines));
  return low ? limitAudio(wire, LOW_AUDIO) : wire;
}

/** Of the far end. A poor uplink (`low`) sends low audio whatever the far end can take. */
export function fromWire(sdp, { low = false } = {}) {
  return low ? limitAudio(compact(sdp), LOW_AUDIO) : compact(sdp);
}
