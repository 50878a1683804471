"""Names the scenarios of the matrix. A new scenario is one module with ``limits`` and ``run``, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from device_matrix.scenarios import audio_call, video_fallback
from device_matrix.scenarios.call_flow import CallContext
from device_matrix.scenarios.expectation import ScenarioLimits


@dataclass(frozen=True, slots=True)
class CellScenario:
    """One scenario of the matrix."""

    title: str
    limits: Callable[[str], ScenarioLimits]
    """Returns the limits for a network generation, e.g. ``2g``."""
    run: Callable[[CallContext], None]


SCENARIOS: Mapping[str, CellScenario] = {
    "audio_call": CellScenario("an audio call that lasts", audio_call.limits, audio_call.run),
    "video_fallback": CellScenario("a video call that falls back to audio", video_fallback.limits, video_fallback.run),
}
SCENARIO_NAMES = tuple(SCENARIOS)
