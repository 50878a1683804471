"""How queues of the kernel are put together so that a link is what its shape says. Pure: text in, text for ``tc`` out.

The wire is a namespace with three veth pairs in a row. A packet towards the device goes

    host end | host0  ->  mid0 | mid1  ->  device0 | device end
              gate         loss, queue      rate, delay

and one from the device the same way back, each direction with queues of its own on the egress of what it passes.
Neither end of the link is shaped itself, and netem, if it has any rate or delay, lets go of a packet's sender: to the
sender's socket buffer a packet that waits here has been sent, as one that waits at a base station has.

- gate: an action counts every packet, and drops them in an outage.
- loss: netem's Gilbert-Elliott chain, before the rate, so that ``rate_kbit`` is what a saturated link delivers.
- queue: a byte-limited fifo under HTB. netem counts its ``limit`` in packets, which is no time at all when packets of
  80 and of 1400 bytes share a link; HTB's own fifo counts bytes, and bytes at a rate are milliseconds.
- rate: HTB lets a packet go when the one before it has been sent, so a lone packet costs no time at all; netem's
  ``rate`` behind it lets a packet go when it has been sent itself. HTB's burst, which would let packets out in a clump,
  only moves the queue's last few bytes from the fifo into this one, and the fifo is shorter by as much.
- a trace: its gaps are kept by the fifo itself, which ``plug`` can stop and start. HTB asks it in vain, so it charges
  nothing for the gap, and the end of a hold makes the device look at its queues at once. (A hold behind HTB does not
  work: netem tells nobody that its ``slot`` has changed, and HTB goes on taking packets, and time for them.)
- delay: a netem of its own behind the rate, since one netem adds its jitter before the time on the wire. Its ``rate``
  is so high that it takes no time, but with a rate netem sends no packet before the one that came before it
  (``time_to_send = max(last, now + delay)``): that is what keeps the order under jitter, where a netem with a delay
  alone sorts packets by their own due time and reorders them.

``stab overhead -14`` takes the Ethernet header off every size: rates and queues are in whole IP packets.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from network_profiles.model.jitter import CLIP_AT_SIGMAS
from network_profiles.model.loss import chain
from network_profiles.model.plain_profile import Side
from network_profiles.model.shape import PlainShape

UNLIMITED_KBIT = 10_000_000.0
"""What a link without a rate is given: 10 Gbit/s."""
JITTER_TABLE = "clipped_normal"
"""Name of the table, in this folder, by which netem draws the jitter of ``network_profiles.model.jitter``."""
ETHERNET_HEADER_BYTES = 14
_LEAST_PACKET_BYTES = 28
_LARGEST_PACKET_BYTES = 1500
_GATE_BURST_S = 0.01
"""How late the kernel's timer may fire without the gate losing rate by it."""
_NO_LIMIT_PACKETS = 1_000_000
_ORPHANED = "rate 100tbit"
"""None, as good as: a packet of any size takes less than a nanosecond, and so no timer either."""
_TRACE_BURST_S = 0.002
_TRACE_SPARE = 1.05
"""How much faster than the queue the rate behind it is on a trace: where both change all the time, a packet is charged
by two rates now and then, and what it was late by must not stay. What HTB's burst let through early goes as quickly,
so the burst is shorter here, and the fifo is as long as the queue."""


class Path(NamedTuple):
    """The devices of the wire that one direction passes."""

    comes_in: str
    lossy: str
    out_of_lossy: str
    goes_out: str
    gate: int
    """Number of the action that counts, and drops in an outage."""


PATHS: dict[Side, Path] = {
    "down": Path("host0", "mid0", "mid1", "device0", 1),
    "up": Path("device0", "mid1", "mid0", "host0", 2),
}
_STAB = f"stab overhead -{ETHERNET_HEADER_BYTES}"


Fifo = Literal["plug", "bfifo"]
"""Both count bytes; the first can be held."""


class Queue(NamedTuple):
    """How a queue of so many milliseconds is divided between the fifo and HTB's burst, in bytes."""

    rate_kbit: float
    fifo_bytes: int
    burst_bytes: int


def queue_of(shape: PlainShape) -> Queue:
    """Returns the queue of ``shape``: never so short that a full-size packet does not fit."""
    rate_kbit = shape.rate_kbit or UNLIMITED_KBIT
    bytes_per_s = rate_kbit * 125.0
    depth_bytes = bytes_per_s * shape.queue_ms / 1000.0
    burst_bytes = bytes_per_s * min(_GATE_BURST_S, shape.queue_ms / 2000.0)
    fifo_bytes = max(float(_LARGEST_PACKET_BYTES), depth_bytes - burst_bytes)
    return Queue(rate_kbit, math.ceil(fifo_bytes), max(1, math.ceil(burst_bytes)))


def build_commands(side: Side, shape: PlainShape) -> list[str]:
    """Returns what builds one direction but for its fifo, for ``tc -batch`` inside the wire."""
    path, queue = PATHS[side], queue_of(shape)
    return [
        f"actions add action pipe index {path.gate}",
        f"qdisc add dev {path.comes_in} ingress",
        f"filter add dev {path.comes_in} ingress protocol all matchall action gact index {path.gate} "
        f"action mirred egress redirect dev {path.lossy}",
        _loss("add", path, shape),
        f"qdisc add dev {path.lossy} parent 1:1 handle 10: htb default 1 r2q 1",
        _queue_rate("add", path, queue.rate_kbit, queue.burst_bytes),
        f"qdisc add dev {path.out_of_lossy} ingress",
        f"filter add dev {path.out_of_lossy} ingress protocol all matchall "
        f"action mirred egress redirect dev {path.goes_out}",
        _rate("add", path, queue.rate_kbit),
        _delay("add", path, shape),
    ]


def fifo_commands(side: Side, shape: PlainShape, fifo: Fifo) -> list[str]:
    """Returns what adds the fifo. A plug begins held."""
    add = f"qdisc add dev {PATHS[side].lossy} parent 10:1 handle 20: {fifo} limit {queue_of(shape).fifo_bytes}"
    return [add, hold_command(side, held=False)] if fifo == "plug" else [add]


def change_commands(side: Side, before: PlainShape | None, after: PlainShape | None, *, fifo: Fifo) -> list[str]:
    """Returns what makes one direction another, for ``tc -batch``; None is an outage.

    Only what differs is named. What is on its way keeps its time. ``before`` is the last shape, not None, that was
    applied, unless the direction is in an outage now, or follows a trace.
    """
    path = PATHS[side]
    if after is None:
        return [f"actions change action drop index {path.gate}"]
    commands = []
    if before is None or (before.loss_ratio, before.loss_burst_packets) != (after.loss_ratio, after.loss_burst_packets):
        commands.append(_loss("change", path, after))
    if before is None or queue_of(before) != queue_of(after):
        queue = queue_of(after)
        commands += [
            _queue_rate("change", path, queue.rate_kbit, queue.burst_bytes),
            f"qdisc change dev {path.lossy} parent 10:1 handle 20: {fifo} limit {queue.fifo_bytes}",
            _rate("change", path, queue.rate_kbit),
        ]
    if before is None or _delay("change", path, before) != _delay("change", path, after):
        commands.append(_delay("change", path, after))
    if before is None:
        commands.append(f"actions change action pipe index {path.gate}")
    return commands


def trace_commands(side: Side, shape: PlainShape) -> list[str]:
    """Returns what makes one direction, that is ``shape``, ready for ``trace_rate_commands``: as many bytes of queue as
    the shape has at its rate, and a delay line with room for any rate."""
    path = PATHS[side]
    queue_bytes = max(_LARGEST_PACKET_BYTES, math.ceil((shape.rate_kbit or UNLIMITED_KBIT) * shape.queue_ms / 8.0))
    return [
        f"qdisc change dev {path.lossy} parent 10:1 handle 20: plug limit {queue_bytes}",
        _delay("change", path, shape._replace(rate_kbit=None)),
    ]


def trace_rate_commands(side: Side, rate_kbit: float) -> list[str]:
    """Returns what sets the rate that a trace has now."""
    path = PATHS[side]
    burst_bytes = max(1, math.ceil(rate_kbit * 125.0 * _TRACE_BURST_S))
    return [
        _queue_rate("change", path, rate_kbit, burst_bytes),
        _rate("change", path, _TRACE_SPARE * rate_kbit),
    ]


def hold_command(side: Side, *, held: bool) -> str:
    """Returns what makes one direction's fifo keep what it has and what comes, or go on."""
    return (
        f"qdisc change dev {PATHS[side].lossy} parent 10:1 handle 20: plug {'block' if held else 'release_indefinite'}"
    )


def _loss(verb: str, path: Path, shape: PlainShape) -> str:
    if shape.loss_ratio >= 1.0:
        loss = "loss random 100%"
    elif shape.loss_ratio > 0.0:
        enter_bad, leave_bad = chain(shape.loss_ratio, shape.loss_burst_packets)
        loss = f"loss gemodel {100 * enter_bad:.7g}% {100 * leave_bad:.7g}%"
    else:
        loss = "loss random 0%"
    return f"qdisc {verb} dev {path.lossy} root handle 1: {_STAB} netem limit {_NO_LIMIT_PACKETS} {_ORPHANED} {loss}"


def _queue_rate(verb: str, path: Path, rate_kbit: float, burst_bytes: int) -> str:
    burst = f"burst {burst_bytes} cburst {burst_bytes}"
    rate = f"rate {_bit(rate_kbit)} ceil {_bit(rate_kbit)}"
    return (
        f"class {verb} dev {path.lossy} parent 10: classid 10:1 htb {rate} {burst} quantum {_LARGEST_PACKET_BYTES + 14}"
    )


def _rate(verb: str, path: Path, rate_kbit: float) -> str:
    rate = _bit(rate_kbit)
    return f"qdisc {verb} dev {path.goes_out} root handle 1: {_STAB} netem limit {_NO_LIMIT_PACKETS} rate {rate}"


def _delay(verb: str, path: Path, shape: PlainShape) -> str:
    delay = f"delay {shape.owd_ms:.6f}ms"
    if shape.jitter_ms > 0:
        delay += f" {shape.jitter_ms:.6f}ms distribution {JITTER_TABLE}"
    return (
        f"qdisc {verb} dev {path.goes_out} parent 1:1 handle 10: netem limit {in_flight_packets(shape)} {delay} "
        f"rate {_bit(UNLIMITED_KBIT)}"
    )


def in_flight_packets(shape: PlainShape) -> int:
    """Returns how many of the smallest packets the delay line holds at the link's rate, twice over for good measure."""
    if shape.rate_kbit is None:
        return _NO_LIMIT_PACKETS
    longest_s = (shape.owd_ms + CLIP_AT_SIGMAS * shape.jitter_ms) / 1000.0
    return math.ceil(2.0 * shape.rate_kbit * 125.0 * longest_s / _LEAST_PACKET_BYTES) + 1000


def _bit(rate_kbit: float) -> str:
    return f"{max(8, round(rate_kbit * 1000))}bit"
