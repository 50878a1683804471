"""One direction of the wire in time: what is set, and which commands make it what it is due to be.

Pure: text for ``tc`` comes out, and whoever has the ``tc`` carries it out at once.
"""

from __future__ import annotations

from typing import NamedTuple

from network_profiles.links.netem.qdisc_layout import (
    Fifo,
    change_commands,
    hold_command,
    trace_commands,
    trace_rate_commands,
)
from network_profiles.links.netem.rate_lookahead import Ahead
from network_profiles.model.plain_profile import Side
from network_profiles.model.shape import PlainShape
from network_profiles.model.timeline import Timeline

NEVER_S = float("inf")


class Due(NamedTuple):
    """What to do now, and when to ask again."""

    commands: list[str]
    next_s: float


class Course:
    """Begins as ``shape``, which has been built."""

    def __init__(self, side: Side, shape: PlainShape, fifo: Fifo) -> None:
        self._side = side
        self._fifo: Fifo = fifo
        self._set: PlainShape | None = shape
        """None in an outage and on a trace: what comes next is set whole."""
        self._timeline: Timeline | None = None
        self._ahead: Ahead | None = None
        self._ready_for: PlainShape | None = None
        """The shape whose trace can be followed as things are."""
        self._rate_kbit: float | None = None
        self._is_held = False

    def stay(self, shape: PlainShape) -> list[str]:
        """Is ``shape`` from now on, whatever it followed; returns the commands for it."""
        self._timeline = self._ahead = self._ready_for = self._rate_kbit = None
        return [*self._become(shape), *self._hold(held=False)]

    def follow(self, timeline: Timeline | None, shape: PlainShape) -> list[str]:
        """Follows ``timeline`` from now on, or stays ``shape`` without one; returns what makes it ready for that."""
        if timeline is None or timeline.room is None:
            commands = self.stay(shape)
            self._timeline = timeline
            return commands
        commands = []
        if self._ready_for != shape:
            commands = [*self.stay(shape), *trace_commands(self._side, shape)]
            self._set = None
            self._ready_for = shape
        self._ahead = Ahead(timeline)
        return commands

    def due(self, now_s: float) -> Due:
        """Returns what is to be done at ``now_s``. Times asked for must not go back."""
        if self._ahead is not None:
            rate_kbit, until_s = self._ahead.setting(now_s)
            return Due(self._go_at(rate_kbit), until_s)
        if self._timeline is None:
            return Due([], NEVER_S)
        shape, until_s = self._timeline.moment(now_s)
        return Due(self._become(shape), until_s)

    def _become(self, shape: PlainShape | None) -> list[str]:
        if shape == self._set:
            return []
        commands = change_commands(self._side, self._set, shape, fifo=self._fifo)
        self._set = shape
        return commands

    def _go_at(self, rate_kbit: float | None) -> list[str]:
        commands = []
        if rate_kbit is not None and rate_kbit != self._rate_kbit:
            commands = trace_rate_commands(self._side, rate_kbit)
            self._rate_kbit = rate_kbit
        return [*commands, *self._hold(held=rate_kbit is None)]

    def _hold(self, *, held: bool) -> list[str]:
        if held == self._is_held:
            return []
        self._is_held = held
        return [hold_command(self._side, held=held)]
