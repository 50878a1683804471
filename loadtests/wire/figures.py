"""Figures of calls as histograms that merge exactly over workers, for the live views.

Each worker sends its whole histograms, a few hundred bytes each, and not what is new in them: a message that is lost
costs a second of freshness and never a call.
"""

from __future__ import annotations

from calls.histograms import MsHistogram
from calls.records.record import LegRecord

FIGURES = ("setup_ms", "owd_p95_ms", "mouth_to_ear_ms", "mos_lq")
"""``mos_lq`` (1 to 5) fits a histogram of milliseconds as well: its buckets are one per cent wide."""

Key = tuple[str, str]
"""(tier, figure)"""


class FigureHistograms:
    """One histogram a tier and figure, made when its first value comes."""

    def __init__(self) -> None:
        self._histograms: dict[Key, MsHistogram] = {}

    def record(self, tier: str, figure: str, value: float) -> None:
        """Counts one value."""
        self._histograms.setdefault((tier, figure), MsHistogram()).record(value)

    def add_wire(self, wire: dict[str, bytes]) -> None:
        """Merges what ``to_wire`` of another process returned."""
        for name, data in wire.items():
            tier, _, figure = name.partition("/")
            self._histograms.setdefault((tier, figure), MsHistogram()).merge(data)

    def to_wire(self) -> dict[str, bytes]:
        """Returns plain values for msgpack."""
        return {f"{tier}/{figure}": histogram.to_bytes() for (tier, figure), histogram in self._histograms.items()}

    def percentile(self, tier: str, figure: str, percent: float) -> float | None:
        """Returns the value that ``percent`` (0..100) of all calls did not exceed, None without any."""
        histogram = self._histograms.get((tier, figure))
        return histogram.percentile(percent) if histogram is not None else None


def figures_of(leg: LegRecord, setup_ms: float | None) -> dict[str, float]:
    """Returns the figures that one caller's leg has."""
    values = {
        "setup_ms": setup_ms,
        "owd_p95_ms": leg.owd_p95_ms,
        "mouth_to_ear_ms": leg.mouth_to_ear_ms,
        "mos_lq": leg.mos_lq,
    }
    return {figure: value for figure, value in values.items() if value is not None}
