"""A probe scorer that dies by itself is told of; one that we ended is not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from waiting import eventually_async

from calls.bridge.messages import PROBE_SCORER_DIED, EngineTrouble
from calls.engine.probe_desk import ProbeDesk
from calls.media.live_voice import live_voice
from calls.media.opus import SAMPLE_RATE
from calls.media.recording import HeardAudio
from calls.record import Side
from loadtests.engine_bridge import EngineBridge

pytestmark = pytest.mark.integration


def heard() -> HeardAudio:
    return HeardAudio(live_voice().pcm[: 8 * SAMPLE_RATE], 800.1, live_voice().tag, True)


async def test_a_killed_judge_is_told_of_and_the_engine_ends(tmp_path: Path) -> None:
    desk = ProbeDesk(tmp_path, "r", "swarm-0")
    assert desk.death() == ""
    desk.submit("c0", Side.CALLER, 100.0, heard())
    assert await eventually_async(lambda: desk.pid is not None)
    assert desk.pid is not None
    os.kill(desk.pid, signal.SIGKILL)
    assert await eventually_async(desk.death)
    desk.submit("c1", Side.CALLER, 100.0, heard())
    await desk.close()
    assert desk.death() == (
        "the probe scorer swarm-0 was killed by signal 9: what its engine's probes heard is not scored"
    )


async def test_a_judge_that_we_end_is_no_death(tmp_path: Path) -> None:
    desk = ProbeDesk(tmp_path, "r", "swarm-0", last_scores_s=0.0)
    desk.submit("c0", Side.CALLER, 100.0, heard())
    assert await eventually_async(lambda: desk.pid is not None)
    await desk.close()
    assert desk.death() == ""


def test_the_death_of_a_judge_makes_the_run_invalid() -> None:
    told: list[tuple[str, str, str]] = []
    bridge = EngineBridge.__new__(EngineBridge)
    bridge._on_trouble = lambda *words: told.append(words)
    bridge._on_event(EngineTrouble(code=PROBE_SCORER_DIED, message="it died"))
    bridge._on_event(EngineTrouble(code="media_fault", message="a fault"))
    assert [severity for _, _, severity in told] == ["invalid", "note"]
