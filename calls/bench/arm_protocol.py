"""Declares what every arm of the media bench can do, and the messages between the driver and an arm's process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from calls.bench.step import BenchStep, Media, SetUps

if TYPE_CHECKING:
    from calls.histograms import MsHistogram


class ArmOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The driver's order: hold ``calls`` calls for ``seconds``, or with 0 set calls up and end them."""

    calls: int
    media: Media = "audio"
    seconds: float


class ArmReply(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an order; ``error`` is a sentence."""

    step: BenchStep | None = None
    set_ups: SetUps | None = None
    error: str = ""


class PacketCounts(msgspec.Struct, frozen=True):
    """Totals of an arm's current calls."""

    sent: int
    received: int
    lost: int


class Arm(Protocol):
    """A way to hold two-way calls with both legs in this process."""

    name: str
    lateness: MsHistogram
    """Lateness of the packets since it was cleared last."""

    async def hold(self, calls: int, media: Media) -> None:
        """Sets up or ends calls until ``calls`` calls are up and both ends of each receive audio. Raises
        TimeoutError.
        """

    async def counts(self) -> PacketCounts:
        """Returns the totals of the current calls."""

    async def set_up_and_end(self, seconds: float) -> SetUps:
        """Sets up and ends calls, several at once, for ``seconds``."""

    async def close(self) -> None:
        """Ends every call."""
