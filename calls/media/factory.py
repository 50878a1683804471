"""Opens legs for the engine and measures how well the generator keeps up. The only entry to the media package."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bedrock.clock import Clock
from calls.histograms import MsHistogram
from calls.media.errors import MediaError
from calls.media.ice.transport import ConnectLimits
from calls.media.interface import LegSpec, MediaEvent, MediaHealth, MediaLeg
from calls.media.leg import Leg
from calls.media.process import MediaProcess
from calls.media.timing.alarm import Alarm, MakeAlarm
from calls.media.timing.ticker import Ticker


class MediaFactory:
    """One per process, on one loop. Call ``close`` at the end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        *,
        limits: ConnectLimits | None = None,
        make_alarm: MakeAlarm = Alarm,
    ) -> None:
        self._process = MediaProcess(loop, clock, limits or ConnectLimits(), make_alarm)

    @property
    def ticker(self) -> Ticker:
        """The process's ticker, which access links share."""
        return self._process.ticker

    @property
    def lateness(self) -> MsHistogram:
        """How late each packet was sent since the last call of ``health``."""
        return self._process.lateness

    async def open_leg(self, spec: LegSpec, on_event: Callable[[MediaEvent, float], None]) -> MediaLeg:
        """Returns a new leg with its socket bound. Raises MediaError when ``spec.bind_address`` cannot be bound."""
        try:
            leg = Leg(self._process, spec, on_event)
        except OSError as error:
            raise MediaError(f"no UDP socket on {spec.bind_address}: {error.strerror}") from error
        self._process.legs.add(leg)
        return leg

    def health(self) -> MediaHealth:
        """Returns the figures since the last call, and the totals."""
        return self._process.health()

    async def close(self) -> None:
        """Closes the open legs, then everything that they share. Safe to call twice."""
        await asyncio.gather(*(leg.close() for leg in list(self._process.legs)))
        self._process.close()
