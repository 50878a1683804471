"""Follows a timeline in one direction of the wire: returns the ``tc`` commands that are due at a time. Pure.

The caller must run the returned commands at once: this module takes them as done.
"""

from __future__ import annotations

from typing import NamedTuple

from network_profiles.links.netem.qdisc_layout import (
    FifoKind,
    change_commands,
    hold_command,
    trace_commands,
    trace_rate_commands,
)
from network_profiles.links.netem.rate_lookahead import RateLookahead
from network_profiles.model.link import NEVER_S
from network_profiles.model.plain_profile import Side
from network_profiles.model.shape import PlainShape
from network_profiles.model.timeline import Timeline


class DueCommands(NamedTuple):
    """The commands to run now, and the time to ask again."""

    commands: list[str]
    next_s: float


class DirectionSchedule:
    """One direction, which has been built as ``shape``."""

    def __init__(self, side: Side, shape: PlainShape, fifo: FifoKind) -> None:
        self._side = side
        self._fifo: FifoKind = fifo
        self._set: PlainShape | None = shape
        """The shape set now. None in an outage and on a trace: the next change then sets everything."""
        self._timeline: Timeline | None = None
        self._lookahead: RateLookahead | None = None
        self._prepared_for: PlainShape | None = None
        """The shape whose trace can be followed without further preparation."""
        self._rate_kbit: float | None = None
        self._is_held = False

    def set_shape(self, shape: PlainShape) -> list[str]:
        """Stops following any timeline and keeps ``shape`` from now on; returns the commands for that."""
        self._timeline = self._lookahead = self._prepared_for = self._rate_kbit = None
        return [*self._shape_commands(shape), *self._hold_commands(held=False)]

    def follow_timeline(self, timeline: Timeline | None, shape: PlainShape) -> list[str]:
        """Follows ``timeline`` from now on, or keeps ``shape`` without one; returns the commands that prepare this."""
        if timeline is None or timeline.opportunities is None:
            commands = self.set_shape(shape)
            self._timeline = timeline
            return commands
        commands = []
        if self._prepared_for != shape:
            commands = [*self.set_shape(shape), *trace_commands(self._side, shape)]
            self._set = None
            self._prepared_for = shape
        self._lookahead = RateLookahead(timeline)
        return commands

    def due_at(self, now_s: float) -> DueCommands:
        """Returns the commands due at ``now_s``. ``now_s`` must never decrease."""
        if self._lookahead is not None:
            rate_kbit, until_s = self._lookahead.setting_at(now_s)
            return DueCommands(self._rate_commands(rate_kbit), until_s)
        if self._timeline is None:
            return DueCommands([], NEVER_S)
        shape, until_s = self._timeline.state_at(now_s)
        return DueCommands(self._shape_commands(shape), until_s)

    def _shape_commands(self, shape: PlainShape | None) -> list[str]:
        if shape == self._set:
            return []
        commands = change_commands(self._side, self._set, shape, fifo=self._fifo)
        self._set = shape
        return commands

    def _rate_commands(self, rate_kbit: float | None) -> list[str]:
        commands = []
        if rate_kbit is not None and rate_kbit != self._rate_kbit:
            commands = trace_rate_commands(self._side, rate_kbit)
            self._rate_kbit = rate_kbit
        return [*commands, *self._hold_commands(held=rate_kbit is None)]

    def _hold_commands(self, *, held: bool) -> list[str]:
        if held == self._is_held:
            return []
        self._is_held = held
        return [hold_command(self._side, held=held)]
