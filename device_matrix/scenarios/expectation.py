"""What a scenario says of the product: nothing, when all was well, or the first thing that was not."""

from __future__ import annotations

from dataclasses import dataclass

from calls.records.record import Blame


class ProductFailure(Exception):
    """The product did not do what the scenario asks. Never retried.

    ``reason`` is a short code with few distinct values; ``detail`` a sentence with the figures.
    """

    def __init__(self, reason: str, detail: str, blame: Blame = Blame.TARGET) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.blame = blame


@dataclass(frozen=True, slots=True)
class ScenarioLimits:
    """How much a scenario puts up with."""

    setup_s: float
    """From the press of the button to audio heard at both ends."""
    gap_ms: float
    """The longest silence between two audio packets, in either direction."""
    effective_loss_ratio: float
    """Share of the audio that the device had to make up."""
    sustain_s: float
    hang_up_s: float = 8.0
    """From the press of the button to the service's confirmation on the screen."""
    fallback_s: float | None = None
    """From the press of the button to audio only at both ends; None where no fallback is asked for."""
