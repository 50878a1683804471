// Session descriptions as text: what goes over the wire, and what is applied. Pure: no DOM, no WebRTC object.
//
// On a 30 kbit/s uplink a browser's own 5 kB offer takes 1.4 s to leave. The wire form keeps one audio codec (Opus),
// one video codec (VP8 with its retransmission), and the lines that a far end needs: about 0.8 kB for an audio call.
// The local description stays as the browser made it; an answer to a subset of an offer is a valid answer to the offer.

/** 60 ms frames at 12 kbit/s: 18.7 kbit/s on the wire (RFC 7587 names the parameters). Default Opus needs about 44. */
export const LOW_AUDIO = { ptimeMs: 60, maxAverageBitrate: 12000 };

const AUDIO_CODEC = /^opus\/48000/i;
const VIDEO_CODEC = /^vp8\/90000/i;
const VIDEO_EXTENSIONS = /abs-send-time|transport-wide-cc/;
const SESSION_NOISE = /^a=(extmap-allow-mixed|msid-semantic)/;
const MEDIA_NOISE = /^a=(rtcp:|rtcp-xr:|rtcp-fb:\S+ rrtr|ssrc:\d+ (msid|mslabel|label):|extmap-allow-mixed)/;

function split(sdp) {
  const parts = sdp.split(/\r?\n(?=m=)/).map((part) => part.split(/\r?\n/).filter(Boolean));
  return { session: parts[0], media: parts.slice(1) };
}

function join(session, media) {
  return [session, ...media].map((lines) => lines.join("\r\n")).join("\r\n") + "\r\n";
}

const kindOf = (lines) => lines[0].slice(2).split(" ")[0];

/** Payload types of one section, as [number, codec, fmtp]. */
function codecsOf(lines) {
  return lines
    .map((line) => /^a=rtpmap:(\d+) (\S+)/.exec(line))
    .filter(Boolean)
    .map(([, number, codec]) => {
      const fmtp = lines.find((line) => line.startsWith(`a=fmtp:${number} `));
      return { number, codec, fmtp: fmtp ? fmtp.slice(fmtp.indexOf(" ") + 1) : "" };
    });
}

function payloadsToKeep(kind, codecs) {
  const wanted = kind === "audio" ? AUDIO_CODEC : VIDEO_CODEC;
  const kept = codecs.filter(({ codec }) => wanted.test(codec)).slice(0, 1).map(({ number }) => number);
  const repair = codecs.find(({ codec, fmtp }) => /^rtx\//i.test(codec) && fmtp === `apt=${kept[0]}`);
  return repair ? [...kept, repair.number] : kept;
}

/** Drops `tcp` candidates (nobody listens on them) and the tail that only the local browser understands. */
export function compactCandidate(candidate) {
  if (/^(a=)?candidate:\S+ \d+ tcp /i.test(candidate)) return null;
  return candidate.replace(/ generation .*$/, "");
}

function compactSection(lines) {
  const kind = kindOf(lines);
  const keep = payloadsToKeep(kind, codecsOf(lines));
  if (!keep.length) return lines; // A codec we do not know: better a long description than a broken one.
  const [mLine, port, protocol] = lines[0].split(" ");
  const out = [`${mLine} ${port} ${protocol} ${keep.join(" ")}`];
  for (const line of lines.slice(1)) {
    const payload = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+)/.exec(line);
    if (payload && !keep.includes(payload[1])) continue;
    if (MEDIA_NOISE.test(line)) continue;
    if (line.startsWith("a=extmap:") && (kind === "audio" || !VIDEO_EXTENSIONS.test(line))) continue;
    if (kind === "audio" && line.startsWith("a=rtcp-fb:")) continue;
    if (line.startsWith("a=candidate:")) {
      const candidate = compactCandidate(line);
      if (candidate) out.push(candidate);
      continue;
    }
    out.push(line);
  }
  return out;
}

/** The same description with one codec a section and without what a call does not use. */
export function compact(sdp) {
  const { session, media } = split(sdp);
  return join(session.filter((line) => !SESSION_NOISE.test(line)), media.map(compactSection));
}

/** Asks (or, on the far end's description, obeys) for long frames and a low rate in every audio section. */
export function limitAudio(sdp, { ptimeMs, maxAverageBitrate }) {
  const { session, media } = split(sdp);
  return join(session, media.map((lines) => {
    const opus = kindOf(lines) === "audio" && codecsOf(lines).find(({ codec }) => AUDIO_CODEC.test(codec));
    if (!opus) return lines;
    const others = opus.fmtp.split(";").map((item) => item.trim()).filter((item) => item && !/^maxaveragebitrate=/.test(item));
    const fmtp = `a=fmtp:${opus.number} ${[...others, `maxaveragebitrate=${maxAverageBitrate}`].join(";")}`;
    const kept = lines.filter((line) => !/^a=(max)?ptime:/.test(line) && !line.startsWith(`a=fmtp:${opus.number} `));
    const at = kept.findIndex((line) => line.startsWith(`a=rtpmap:${opus.number} `)) + 1;
    return [...kept.slice(0, at), fmtp, `a=ptime:${ptimeMs}`, `a=maxptime:${ptimeMs}`, ...kept.slice(at)];
  }));
}

/** What the far end wants to receive: `{ptimeMs, maxAverageBitrate}`, null where it says nothing. */
export function audioWish(sdp) {
  const audio = split(sdp).media.find((lines) => kindOf(lines) === "audio") || [];
  const ptime = audio.map((line) => /^a=ptime:(\d+)/.exec(line)).find(Boolean);
  const rate = audio.map((line) => /^a=fmtp:.*maxaveragebitrate=(\d+)/.exec(line)).find(Boolean);
  return { ptimeMs: ptime ? Number(ptime[1]) : null, maxAverageBitrate: rate ? Number(rate[1]) : null };
}

/** What leaves for the far end. `complete` when no further candidate will follow. */
export function toWire(sdp, { low = false, complete = false } = {}) {
  let wire = compact(sdp);
  if (low) wire = limitAudio(wire, LOW_AUDIO);
  if (complete) {
    const { session, media } = split(wire);
    wire = join(session, media.map((lines, at) => (at === 0 ? [...lines, "a=end-of-candidates"] : lines)));
  }
  return wire;
}

/** What is applied of the far end's description. A poor uplink (`low`) sends low audio whatever the far end can take. */
export function fromWire(sdp, { low = false } = {}) {
  const applied = compact(sdp);
  return low ? limitAudio(applied, LOW_AUDIO) : applied;
}
