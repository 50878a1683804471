"""Defines the limits of a scenario, and the exception for a product that misses one."""

from __future__ import annotations

from dataclasses import dataclass

from calls.records.record import Blame


class ProductFailure(Exception):
    """The product did not do what the scenario asks. Never retried.

    ``reason`` is a short code with few distinct values; ``detail`` is a sentence with the figures.
    """

    def __init__(self, reason: str, detail: str, blame: Blame = Blame.TARGET) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.blame = blame


@dataclass(frozen=True, slots=True)
class ScenarioLimits:
    """The figures that a call must keep to."""

    setup_s: float
    """From the press of the call button to audio heard at both ends."""
    gap_ms: float
    """The longest silence between two audio packets, in either direction."""
    effective_loss_ratio: float
    """Share of the played audio that the device had to conceal."""
    hang_up_s: float = 8.0
    """From the press of the hang-up button to the service's confirmation on the screen."""
