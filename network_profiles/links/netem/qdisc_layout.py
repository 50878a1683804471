"""Builds the ``tc`` commands that make the kernel's queues behave as a link's shape says. Pure: returns text only.

The wire is a network namespace with three veth pairs in a row. A packet towards the device goes

    host end | host0  ->  mid0 | mid1  ->  device0 | device end
              gact         loss, queue      rate, delay

A packet from the device goes the same way back. Each direction has its own queues on the egress of the devices it
passes. The two ends of the link carry no queues themselves. A netem with a rate or a delay detaches the packet from
its sender's socket. So the sender's socket buffer counts a waiting packet as sent, as it does for a packet that waits
in a base station.

- Counter: a gact action counts every packet, and drops them all in an outage.
- Loss: netem's Gilbert-Elliott chain. It stands before the rate, so a saturated link delivers ``rate_kbit``.
- Queue: a byte-limited fifo under HTB. netem counts its ``limit`` in packets; that is no fixed time when packets of
  80 and of 1400 bytes share a link. The fifo counts bytes, and bytes at a rate are milliseconds.
- Rate: HTB releases a packet when the one before it has been sent, so it does not delay a lone packet. netem's
  ``rate`` behind HTB releases a packet when that packet itself has been sent. HTB's burst would let packets out in a
  clump. Here it only moves the last few bytes of the queue from the fifo into this netem, and the fifo is shorter by
  the same amount.
- Trace: ``plug`` is the fifo, because it can block and release. While ``plug`` blocks, HTB dequeues nothing and spends
  no tokens. The release makes the device look at its queues at once. (A hold behind HTB does not work: netem does not
  announce that its ``slot`` has changed, and HTB goes on dequeuing packets and spending tokens for them.)
- Delay: a second netem behind the rate, because one netem adds its jitter before the time on the wire. Its ``rate`` is
  so high that it takes no time. But a netem with a rate sends no packet before the one that came before it
  (``time_to_send = max(last, now + delay)``), and this keeps the order under jitter. A netem with only a delay sorts
  packets by their own due time, and so reorders them.

``stab overhead -14`` takes the Ethernet header off every size, so rates and queues count whole IP packets.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from network_profiles.model.jitter import CLIP_AT_SIGMAS
from network_profiles.model.loss import chain
from network_profiles.model.plain_profile import Side
from network_profiles.model.shape import PlainShape

UNLIMITED_KBIT = 10_000_000.0
"""The rate that tc gets for a link without a rate: 10 Gbit/s."""
JITTER_TABLE = "clipped_normal"
"""Name of netem's distribution table in this folder. It has the jitter of ``network_profiles.model.jitter``."""
ETHERNET_HEADER_BYTES = 14
_SMALLEST_PACKET_BYTES = 28
_LARGEST_PACKET_BYTES = 1500
_HTB_BURST_S = 0.01
"""The kernel's timer may fire this late without HTB losing rate."""
_NO_LIMIT_PACKETS = 1_000_000
_ORPHANING_RATE = "rate 100tbit"
"""A rate makes netem detach a packet from its sender's socket. This one costs under 1 ns for any packet."""
_TRACE_BURST_S = 0.002
_TRACE_RATE_HEADROOM = 1.05
"""On a trace, the rate behind the queue is this much faster than the queue's. Both change often, so two different rates
sometimes apply to one packet; the headroom lets the link catch up with that delay. What HTB's burst let through early
then leaves early too, so the burst is shorter on a trace and the fifo has the queue's full length."""


class WirePath(NamedTuple):
    """The devices of the wire that one direction passes, in order."""

    ingress_device: str
    loss_device: str
    loss_peer: str
    egress_device: str
    gact_index: int
    """Index of the gact action that counts packets, and drops them in an outage."""


WIRE_PATHS: dict[Side, WirePath] = {
    "down": WirePath("host0", "mid0", "mid1", "device0", 1),
    "up": WirePath("device0", "mid1", "mid0", "host0", 2),
}
_STAB = f"stab overhead -{ETHERNET_HEADER_BYTES}"


FifoKind = Literal["plug", "bfifo"]
"""Both are limited in bytes; only ``plug`` can hold packets back."""


class QueueSizes(NamedTuple):
    """How a queue's depth is divided between the fifo and HTB's burst, in bytes."""

    rate_kbit: float
    fifo_bytes: int
    burst_bytes: int


def queue_sizes(shape: PlainShape) -> QueueSizes:
    """Returns the queue of ``shape``. The fifo always has room for one full-size packet."""
    rate_kbit = shape.rate_kbit or UNLIMITED_KBIT
    bytes_per_s = rate_kbit * 125.0
    depth_bytes = bytes_per_s * shape.queue_ms / 1000.0
    burst_bytes = bytes_per_s * min(_HTB_BURST_S, shape.queue_ms / 2000.0)
    fifo_bytes = max(float(_LARGEST_PACKET_BYTES), depth_bytes - burst_bytes)
    return QueueSizes(rate_kbit, math.ceil(fifo_bytes), max(1, math.ceil(burst_bytes)))


def build_commands(side: Side, shape: PlainShape) -> list[str]:
    """Returns the commands that build one direction without its fifo, for ``tc -batch`` inside the wire."""
    path, queue = WIRE_PATHS[side], queue_sizes(shape)
    return [
        f"actions add action pipe index {path.gact_index}",
        f"qdisc add dev {path.ingress_device} ingress",
        f"filter add dev {path.ingress_device} ingress protocol all matchall action gact index {path.gact_index} "
        f"action mirred egress redirect dev {path.loss_device}",
        _loss("add", path, shape),
        f"qdisc add dev {path.loss_device} parent 1:1 handle 10: htb default 1 r2q 1",
        _queue_rate("add", path, queue.rate_kbit, queue.burst_bytes),
        f"qdisc add dev {path.loss_peer} ingress",
        f"filter add dev {path.loss_peer} ingress protocol all matchall "
        f"action mirred egress redirect dev {path.egress_device}",
        _serialisation("add", path, queue.rate_kbit),
        _delay("add", path, shape),
    ]


def fifo_commands(side: Side, shape: PlainShape, fifo: FifoKind) -> list[str]:
    """Returns the commands that add the fifo. The kernel starts a ``plug`` blocked, so it is released here."""
    device, limit_bytes = WIRE_PATHS[side].loss_device, queue_sizes(shape).fifo_bytes
    add = f"qdisc add dev {device} parent 10:1 handle 20: {fifo} limit {limit_bytes}"
    return [add, hold_command(side, held=False)] if fifo == "plug" else [add]


def change_commands(side: Side, before: PlainShape | None, after: PlainShape | None, *, fifo: FifoKind) -> list[str]:
    """Returns the commands that change one direction from ``before`` to ``after``, for ``tc -batch``.

    ``after`` None is an outage. Packets on their way keep their time. ``before`` is the shape that is set now. It is
    None in an outage or on a trace: all settings are then set anew, otherwise only those that differ.
    """
    path = WIRE_PATHS[side]
    if after is None:
        return [f"actions change action drop index {path.gact_index}"]
    commands = []
    if before is None or (before.loss_ratio, before.loss_burst_packets) != (after.loss_ratio, after.loss_burst_packets):
        commands.append(_loss("change", path, after))
    if before is None or queue_sizes(before) != queue_sizes(after):
        queue = queue_sizes(after)
        commands += [
            _queue_rate("change", path, queue.rate_kbit, queue.burst_bytes),
            f"qdisc change dev {path.loss_device} parent 10:1 handle 20: {fifo} limit {queue.fifo_bytes}",
            _serialisation("change", path, queue.rate_kbit),
        ]
    if before is None or _delay("change", path, before) != _delay("change", path, after):
        commands.append(_delay("change", path, after))
    if before is None:
        commands.append(f"actions change action pipe index {path.gact_index}")
    return commands


def trace_commands(side: Side, shape: PlainShape) -> list[str]:
    """Returns the commands that prepare one direction of shape ``shape`` for ``trace_rate_commands``.

    The queue gets as many bytes as the shape has at its rate, the delay line room for any rate.
    """
    path = WIRE_PATHS[side]
    queue_bytes = max(_LARGEST_PACKET_BYTES, math.ceil((shape.rate_kbit or UNLIMITED_KBIT) * shape.queue_ms / 8.0))
    return [
        f"qdisc change dev {path.loss_device} parent 10:1 handle 20: plug limit {queue_bytes}",
        _delay("change", path, shape._replace(rate_kbit=None)),
    ]


def trace_rate_commands(side: Side, rate_kbit: float) -> list[str]:
    """Returns the commands that set a trace's present rate."""
    path = WIRE_PATHS[side]
    burst_bytes = max(1, math.ceil(rate_kbit * 125.0 * _TRACE_BURST_S))
    return [
        _queue_rate("change", path, rate_kbit, burst_bytes),
        _serialisation("change", path, _TRACE_RATE_HEADROOM * rate_kbit),
    ]


def hold_command(side: Side, *, held: bool) -> str:
    """Returns the command that makes one direction's ``plug`` hold its packets (``held``) or release them."""
    device, action = WIRE_PATHS[side].loss_device, "block" if held else "release_indefinite"
    return f"qdisc change dev {device} parent 10:1 handle 20: plug {action}"


def _loss(verb: str, path: WirePath, shape: PlainShape) -> str:
    if shape.loss_ratio >= 1.0:
        loss = "loss random 100%"
    elif shape.loss_ratio > 0.0:
        enter_bad, leave_bad = chain(shape.loss_ratio, shape.loss_burst_packets)
        loss = f"loss gemodel {100 * enter_bad:.7g}% {100 * leave_bad:.7g}%"
    else:
        loss = "loss random 0%"
    netem = f"netem limit {_NO_LIMIT_PACKETS} {_ORPHANING_RATE} {loss}"
    return f"qdisc {verb} dev {path.loss_device} root handle 1: {_STAB} {netem}"


def _queue_rate(verb: str, path: WirePath, rate_kbit: float, burst_bytes: int) -> str:
    burst = f"burst {burst_bytes} cburst {burst_bytes}"
    rate = f"rate {_bit(rate_kbit)} ceil {_bit(rate_kbit)}"
    quantum = f"quantum {_LARGEST_PACKET_BYTES + ETHERNET_HEADER_BYTES}"
    return f"class {verb} dev {path.loss_device} parent 10: classid 10:1 htb {rate} {burst} {quantum}"


def _serialisation(verb: str, path: WirePath, rate_kbit: float) -> str:
    rate = _bit(rate_kbit)
    return f"qdisc {verb} dev {path.egress_device} root handle 1: {_STAB} netem limit {_NO_LIMIT_PACKETS} rate {rate}"


def _delay(verb: str, path: WirePath, shape: PlainShape) -> str:
    delay = f"delay {shape.owd_ms:.6f}ms"
    if shape.jitter_ms > 0:
        delay += f" {shape.jitter_ms:.6f}ms distribution {JITTER_TABLE}"
    return (
        f"qdisc {verb} dev {path.egress_device} parent 1:1 handle 10: netem limit {in_flight_packets(shape)} {delay} "
        f"rate {_bit(UNLIMITED_KBIT)}"
    )


def in_flight_packets(shape: PlainShape) -> int:
    """Returns the delay line's limit: twice as many of the smallest packets as are in flight at the link's rate."""
    if shape.rate_kbit is None:
        return _NO_LIMIT_PACKETS
    longest_s = (shape.owd_ms + CLIP_AT_SIGMAS * shape.jitter_ms) / 1000.0
    return math.ceil(2.0 * shape.rate_kbit * 125.0 * longest_s / _SMALLEST_PACKET_BYTES) + 1000


def _bit(rate_kbit: float) -> str:
    return f"{max(8, round(rate_kbit * 1000))}bit"
