"""Gives Opus's impairment and loss robustness by bitrate for the E-model, from the published table in ``opus.toml``."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from calls.quality.emodel import RO_FULL_BAND

_WIDEBAND_FROM_KBIT = 10.0
"""Between libopus's switch point for speech (9 kbit/s to wideband) and the table's rows (9 and 11)."""
_SUPER_WIDEBAND_FROM_KBIT = 13.5
"""libopus switches from wideband to super-wideband here for mono speech."""
_BURSTY_FROM = 1.5
"""Loss counts as bursty when its runs are this many times longer than for random loss. At 1-5 % loss, five seconds of
20 ms packets vary up to about 1.3 by chance."""
_PTIME_TOLERANCE_MS = 1.0
_VBR_BELOW, _VBR_ABOVE = 0.75, 1.1
"""How far the received rate may be from the encoder's target, in variable-rate speech."""


class Basis(StrEnum):
    """What a score is based on, from the strongest to the weakest."""

    PUBLISHED = "published"
    """The table covers the case exactly: no clamping, no shift of scale, its own frame length."""
    CALIBRATED = "calibrated"
    """Not published, but our own sweep against ViSQOL agrees: see ``calibrated.toml``."""
    EXTRAPOLATED = "extrapolated"


BASES: tuple[Basis, ...] = tuple(Basis)


@dataclass(frozen=True, slots=True)
class Impairment:
    """The table's values for one bitrate, on the full-band scale."""

    ie: float
    bpl: float
    basis: Basis


@dataclass(frozen=True, slots=True)
class _Point:
    kbit: float
    ie: float
    bpl_random: float
    bpl_bursty: float


@dataclass(frozen=True, slots=True)
class _Row:
    scale_top_r: float
    points: tuple[_Point, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    model: str
    ptime_ms: float
    rows: dict[tuple[str, str], _Row]


def bandwidth_of(kbit: float) -> str:
    """Returns ``nb``, ``wb`` or ``swb``: the audio bandwidth that libopus picks for mono speech at ``kbit``."""
    if kbit >= _SUPER_WIDEBAND_FROM_KBIT:
        return "swb"
    return "wb" if kbit >= _WIDEBAND_FROM_KBIT else "nb"


def is_bursty(burst_ratio: float) -> bool:
    """Returns whether loss with this BurstR (G.107) uses the table's bursty robustness."""
    return burst_ratio >= _BURSTY_FROM


def impairment(kbit: float, *, ptime_ms: float, bursty: bool, bandwidth: str = "", mode: str = "vbr") -> Impairment:
    """Returns Ie and Bpl of Opus at ``kbit``, interpolated within one (bandwidth, mode) row and clamped at its ends.

    Without ``bandwidth``, that of ``kbit`` is used. Raises KeyError for a bandwidth and mode without a row.
    """
    table = _table()
    band = bandwidth or bandwidth_of(kbit)
    row = table.rows[band, mode]
    point = _interpolate(row.points, kbit)
    shift = RO_FULL_BAND - row.scale_top_r
    inside = row.points[0].kbit <= kbit <= row.points[-1].kbit
    usual_frames = abs(ptime_ms - table.ptime_ms) <= _PTIME_TOLERANCE_MS
    return Impairment(
        ie=point.ie + shift,
        bpl=point.bpl_bursty if bursty else point.bpl_random,
        basis=Basis.PUBLISHED if inside and usual_frames and shift == 0.0 else _own_basis(kbit, ptime_ms, band),
    )


def _own_basis(kbit: float, ptime_ms: float, bandwidth: str) -> Basis:
    for case_ptime_ms, case_kbit in _calibrated_cases():
        if (
            abs(ptime_ms - case_ptime_ms) <= _PTIME_TOLERANCE_MS
            and _VBR_BELOW * case_kbit <= kbit <= _VBR_ABOVE * case_kbit
            and bandwidth == bandwidth_of(case_kbit)
        ):
            return Basis.CALIBRATED
    return Basis.EXTRAPOLATED


def model_name() -> str:
    """Returns the name of the parameter set, for the record."""
    return _table().model


def _interpolate(points: tuple[_Point, ...], kbit: float) -> _Point:
    kbit = min(points[-1].kbit, max(points[0].kbit, kbit))
    for low, high in itertools.pairwise(points):
        if kbit <= high.kbit:
            share = (kbit - low.kbit) / (high.kbit - low.kbit)
            return _Point(
                kbit,
                low.ie + share * (high.ie - low.ie),
                low.bpl_random + share * (high.bpl_random - low.bpl_random),
                low.bpl_bursty + share * (high.bpl_bursty - low.bpl_bursty),
            )
    return points[-1]


@cache
def _calibrated_cases() -> tuple[tuple[float, float], ...]:
    raw = tomllib.loads(files("calls.quality").joinpath("calibrated.toml").read_text(encoding="utf-8"))
    accepted = raw["accepted_worst_mos"]
    return tuple((case["ptime_ms"], case["kbit"]) for case in raw["case"] if case["worst_mos"] <= accepted)


@cache
def _table() -> _Table:
    raw = tomllib.loads(files("calls.quality").joinpath("opus.toml").read_text(encoding="utf-8"))
    rows = {
        (row["bandwidth"], row["mode"]): _Row(row["scale_top_r"], tuple(_Point(*point) for point in row["points"]))
        for row in raw["row"]
    }
    return _Table(raw["model"], raw["ptime_ms"], rows)
