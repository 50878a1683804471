"""Translates a network profile into Chromium's own network emulation (CDP), for machines that can build no link.

The emulation shapes the browser's sockets, not a network: WebRTC's UDP through ``webrtc::SimulatedNetwork``, and HTTP.
WebRTC gets its ``latency`` in each direction, so a round trip grows by twice that; HTTP gets it once. It affects only
connections that are made after it was set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from network_profiles import NetworkProfile

COMMAND = "Network.emulateNetworkConditionsByRule"
_VIDEO_PACKET_BITS = 1200 * 8
_UNLIMITED = -1

_NEVER_SHAPED = (
    "jitter: every packet has the same delay",
    "bursts: packets are lost independently of each other",
    "the queue towards the device: it has no end",
    "WebSocket messages, and media that is relayed over TCP",
)


def emulated_conditions(profile: NetworkProfile) -> dict[str, Any]:
    """Returns the parameters of COMMAND that come nearest to ``profile``, without its changes over time."""
    down, up = profile.down, profile.up
    queue_packets = 0 if up.rate_kbit is None else max(1, round(up.queue_ms * up.rate_kbit / _VIDEO_PACKET_BITS))
    rule = {
        "urlPattern": "",
        "latency": (down.owd_ms + up.owd_ms) / 2.0,
        "downloadThroughput": _bytes_per_s(down.rate_kbit),
        "uploadThroughput": _bytes_per_s(up.rate_kbit),
        "packetLoss": 100.0 * (down.loss_ratio + up.loss_ratio) / 2.0,
        "packetQueueLength": queue_packets,
        "packetReordering": False,
    }
    return {"offline": False, "matchedNetworkConditions": [rule]}


def not_shaped(profile: NetworkProfile) -> list[str]:
    """Returns what ``profile`` asks for and the browser does not emulate, a phrase each."""
    missing = list(_NEVER_SHAPED)
    if profile.down.owd_ms != profile.up.owd_ms:
        missing.append("different delays up and down: both get the mean")
    if profile.down.loss_ratio != profile.up.loss_ratio:
        missing.append("different losses up and down: both get the mean")
    if profile.changes_with_time:
        missing.append("changes with time: the link stays as it is between them")
    return missing


def cdp_commands(given: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Returns the CDP commands, in order, that switch the emulation ``given`` on."""
    return [("Network.enable", {}), (COMMAND, dict(given))]


def _bytes_per_s(rate_kbit: float | None) -> float:
    return _UNLIMITED if rate_kbit is None else rate_kbit * 1000.0 / 8
