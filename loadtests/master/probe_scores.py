"""Reads the ViSQOL scores of the probes from ``probes/*.parquet`` as the segments appear."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from bedrock.quantile import quantile

logger = logging.getLogger(__name__)

READ_EVERY_S = 5.0


class ProbeScores:
    """The scores of one run folder. Segments never change, so each is read once."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / "probes"
        self._read: set[str] = set()
        self._scores: list[float] = []
        self._delays_ms: list[float] = []
        self.unscored: Counter[str] = Counter()
        """Listening sides without a score, by reason."""
        self._read_at_s = float("-inf")

    def refresh(self, now_s: float) -> None:
        """Reads what is new, at most every few seconds."""
        if now_s - self._read_at_s < READ_EVERY_S:
            return
        self._read_at_s = now_s
        for path in sorted(self._folder.glob("*.parquet")):
            if path.name not in self._read and not path.name.startswith("."):
                self._read.add(path.name)
                self._take(path)

    def _take(self, path: Path) -> None:
        from pyarrow import parquet

        try:
            table = parquet.read_table(path, columns=["visqol_mos_lq", "mouth_to_ear_ms", "reason"], partitioning=None)
        except (OSError, ValueError) as error:
            logger.warning("%s cannot be read: %s", path.name, error)
            return
        self._scores += [value for value in table["visqol_mos_lq"].to_pylist() if value is not None]
        self.unscored.update(reason for reason in table["reason"].to_pylist() if reason)
        self._delays_ms += [value for value in table["mouth_to_ear_ms"].to_pylist() if value is not None]

    @property
    def count(self) -> int:
        """How many listening sides were scored."""
        return len(self._scores)

    @property
    def summary(self) -> str:
        """How many listening sides have a score, and how many have none, by reason."""
        scored = f"{self.count} sides scored by ViSQOL in speech mode"
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.unscored.items()))
        return f"{scored}; not scored: {reasons}" if reasons else scored

    def score(self, ratio: float) -> float | None:
        """Returns the ViSQOL score that a share ``ratio`` of the sides does not exceed."""
        return quantile(self._scores, ratio)

    def mouth_to_ear_ms(self, ratio: float) -> float | None:
        """Returns the same of the mouth-to-ear delay as measured by correlation."""
        return quantile(self._delays_ms, ratio)
