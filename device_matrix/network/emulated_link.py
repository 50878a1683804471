"""Replaces a link that cannot be built: packets travel over loopback, and the browser itself shapes them.

This is no proof of a link. Only the round trip is measured, between two connections inside the browser. The evidence
names everything that a browser does not shape.
"""

from __future__ import annotations

import math
import time

from calls.records.record import LegRecord
from device_matrix.capture.rtp_streams import StreamFigures
from device_matrix.capture.stats import AudioBothWays
from device_matrix.drivers.network_emulation import not_shaped
from device_matrix.drivers.protocol import Browser
from device_matrix.hook.samples import InboundStats, PeerConnectionStats
from network_profiles import NetworkProfile
from network_profiles.links.counters import DirectionCounters, LinkCounters
from network_profiles.verification.evidence import Evidence, Figure
from network_profiles.verification.remeasurement import measure_until_decided

CDP_BACKEND = "cdp"
LOOPBACK = "127.0.0.1"
ROUND_TRIPS = 3
_MAX_MEASUREMENTS = 3
RTT_TOLERANCE_MS, RTT_TOLERANCE_RATIO = 10.0, 0.05
_MESSAGE_BITS = 120 * 8
"""A short data channel message with SCTP, DTLS, UDP and IP."""
_NOTHING = DirectionCounters(0, 0, 0, 0, {}, 0, 0, None, None)

_MEASURE = """
async (count) => {
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
  near.onicecandidate = (event) => event.candidate && far.addIceCandidate(event.candidate);
  far.onicecandidate = (event) => event.candidate && near.addIceCandidate(event.candidate);
  const channel = near.createDataChannel("rtt");
  far.ondatachannel = (event) => { event.channel.onmessage = (message) => event.channel.send(message.data); };
  const opened = new Promise((resolve) => { channel.onopen = resolve; });
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription);
  await opened;
  const times = [];
  for (let number = 0; number < count; number += 1) {
    const echoed = new Promise((resolve) => { channel.onmessage = resolve; });
    const sentAt = performance.now();
    channel.send("x");
    await echoed;
    times.push(performance.now() - sentAt);
  }
  near.close();
  far.close();
  return times;
}
"""


class EmulatedLink:
    """Has the interface of a shaped link: loopback addresses, and counters that count nothing."""

    host_address = LOOPBACK
    device_address = LOOPBACK
    exec_prefix: tuple[str, ...] = ()

    def counters(self) -> LinkCounters:
        return LinkCounters(_NOTHING, _NOTHING)

    def is_alive(self) -> bool:
        return True


def measure_in_browser(browser: Browser, profile: NetworkProfile) -> Evidence:
    """Measures the emulation between two connections inside the browser. Raises DeviceUnavailable.

    A miss while the browser waited for a CPU is measured again, three times at most.
    """
    return measure_until_decided(
        lambda _number: _measured(browser, profile), on_time_misses=1, max_measurements=_MAX_MEASUREMENTS
    )


def _measured(browser: Browser, profile: NetworkProfile) -> Evidence:
    at_s, began_s = time.time(), time.monotonic()
    times_ms: list[float] = browser.evaluate(_MEASURE, ROUND_TRIPS)
    # Both ends are emulated: a message and its echo pass the emulation four times, those of a call twice.
    # The emulated delay is constant, so a longer round trip means that the browser waited for a CPU.
    got_ms = min(times_ms, default=math.nan) / 2.0
    waited_ms = max(times_ms, default=math.nan) / 2.0 - got_ms
    on_wire_ms = sum(_MESSAGE_BITS / one.rate_kbit for one in (profile.down, profile.up) if one.rate_kbit)
    wanted_ms = profile.rtt_ms + on_wire_ms
    give_ms = max(RTT_TOLERANCE_MS, RTT_TOLERANCE_RATIO * wanted_ms)
    figure = Figure("down", "rtt_ms", profile.rtt_ms, got_ms, wanted_ms - give_ms, wanted_ms + give_ms, len(times_ms))
    took_s = time.monotonic() - began_s
    return Evidence(
        profile.id, CDP_BACKEND, at_s, took_s, (figure,), not_shaped=tuple(not_shaped(profile)), probe_late_ms=waited_ms
    )


def audio_by_statistics(
    connection: PeerConnectionStats | None, far_leg: LegRecord | None, *, until_s: float
) -> AudioBothWays:
    """Returns the audio figures from the counters of browser and far end, where no packet could be captured.

    Gaps are then known to one second only: the browser is sampled once a second.
    """
    return AudioBothWays(_heard(connection, until_s), _sent(far_leg), None)


def _heard(connection: PeerConnectionStats | None, until_s: float) -> StreamFigures | None:
    if connection is None or connection.first_audio_at_ms is None:
        return None
    first_at_s = connection.first_audio_at_ms / 1000.0
    looks = [(one.at_ms / 1000.0, one.audio_in) for one in connection.samples if one.audio_in is not None]
    looks = [(at_s, inbound) for at_s, inbound in looks if first_at_s <= at_s <= until_s]
    if not looks:
        return None
    moves_s = [first_at_s]
    packets = 0
    for at_s, inbound in looks:
        if inbound.packets_received > packets:
            packets = inbound.packets_received
            moves_s.append(at_s)
    gaps_s = [later - earlier - 1.0 for earlier, later in zip(moves_s, [*moves_s[1:], until_s], strict=True)]
    last: InboundStats = looks[-1][1]
    return StreamFigures(
        packets=last.packets_received,
        lost=last.packets_lost,
        first_at_s=first_at_s,
        last_at_s=moves_s[-1],
        max_gap_ms=1000.0 * max(0.0, *gaps_s),
        jitter_ms=1000.0 * (last.jitter or 0.0),
        ptime_ms=_ptime_ms(moves_s, last.packets_received),
        burst_ratio=1.0,
        owd_p50_ms=None,
        owd_p95_ms=None,
    )


def _sent(far_leg: LegRecord | None) -> StreamFigures | None:
    if far_leg is None or far_leg.first_audio_at_s is None or not far_leg.packets_received:
        return None
    return StreamFigures(
        packets=far_leg.packets_received,
        lost=far_leg.packets_lost,
        first_at_s=far_leg.first_audio_at_s,
        last_at_s=far_leg.ended_at_s,
        max_gap_ms=far_leg.max_gap_ms or 0.0,
        jitter_ms=far_leg.jitter_ms or 0.0,
        ptime_ms=_ptime_ms([far_leg.first_audio_at_s, far_leg.ended_at_s], far_leg.packets_received),
        burst_ratio=1.0,
        owd_p50_ms=None,
        owd_p95_ms=None,
    )


def _ptime_ms(moments_s: list[float], packets: int) -> float:
    return 1000.0 * (moments_s[-1] - moments_s[0]) / max(1, packets)
