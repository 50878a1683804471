"""What real calls leave behind: windows of every leg, scored probes of both sides, talk spurts that are no gaps."""

from __future__ import annotations

import asyncio
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from calls_world import rows
from held_world import World
from waiting import eventually

from calls.media.audio.talk_spurts import COMFORT_S, Conversation
from calls.records.record import LegRecord, Outcome, Side, Tier

pytestmark = [pytest.mark.integration, pytest.mark.held_time]


COMFORT_FRAMES = round(COMFORT_S / 0.02)
"""In a pause, so many frames from one of comfort noise to the next."""


def said_to(leg: LegRecord) -> tuple[int, int]:
    """Returns how many frames and spurts the call's own conversation has for ``leg`` while it heard the other.

    A pause that ends with a frame of comfort noise, as one of a single frame, leaves no gap that a receiver can tell.
    """
    assert leg.first_audio_at_s is not None
    conversation, other = Conversation(leg.call_id), int(leg.side is Side.CALLER)
    frame_s = 0.02
    times_s = (leg.first_audio_at_s + number * frame_s for number in range(int(leg.talked_s / frame_s)))
    talks = [conversation.talks(other, at_s) for at_s in times_s]
    pauses = [len(list(frames)) for talking, frames in groupby(talks) if not talking]
    begins = sum((pause - 1) % COMFORT_FRAMES != 0 for pause in pauses[: None if talks[-1] else -1])
    falls_silent = sum(before and not now for before, now in pairwise(talks))
    return sum(talks) + falls_silent + round(talks.count(False) * frame_s / COMFORT_S), begins


async def test_probes_are_scored_both_ways_and_people_who_fall_silent_are_no_failure(tmp_path: Path) -> None:
    async with World(tmp_path, way_s=0.001, talk_spurts=True) as world:
        for name, tier in (("ann", Tier.MEDIA), ("bob", Tier.MEDIA), ("cid", Tier.PACKETS), ("dan", Tier.PACKETS)):
            await world.sign_in(name, tier=tier, answer_after_s=0.2)
        calls = world.place("ann", "bob", talk_s=7.0), world.place("cid", "dan", talk_s=7.0)
        probe_leg, talk_leg = [(await call).leg for call in calls]
        await asyncio.sleep(1.0)
        far_leg = world.callee_legs[talk_leg.call_id]
        # The judge is a process of its own, in the machine's time: ours stands still until it is through.
        assert await asyncio.to_thread(eventually, lambda: len(probes(tmp_path)) == 2)

    for leg in (talk_leg, far_leg):
        assert leg.outcome is Outcome.COMPLETED
        assert leg.max_gap_ms is not None
        assert leg.max_gap_ms < 1000, "silence is not a gap"
        frames, spurts = said_to(leg)
        assert leg.packets_received == pytest.approx(frames, abs=6), "in silence a frame in 400 ms, else one in 20"
        assert leg.talk_spurts == pytest.approx(spurts, abs=1)
        assert leg.m2e_network_ms is not None
        assert leg.m2e_playout_ms is not None
        parts_ms = 20 + 6.5 + leg.m2e_network_ms + leg.m2e_playout_ms
        assert leg.mouth_to_ear_ms == pytest.approx(parts_ms)
        assert (leg.owd_clock, leg.owd_negative) == ("same_clock", 0)
        assert leg.owd_uncertainty_ms == pytest.approx(0.0038, abs=0.0001)

    windows = rows(tmp_path, "windows", "call_id, side, tier, mos_lq, mos_basis, talk_ratio")
    assert {row[:3] for row in windows} == {
        (call_id, side, tier)
        for call_id, tier in ((probe_leg.call_id, "media"), (talk_leg.call_id, "packets"))
        for side in ("caller", "callee")
    }
    assert all(row[3] > 3.5 for row in windows)
    assert any(row[5] < 0.9 for row in windows if row[2] == "packets")

    scored = probes(tmp_path)
    assert [row[0] for row in scored] == ["callee", "caller"]
    for _side, _voice, duration_s, mos, ear_ms, reason in scored:
        assert reason == ""
        assert duration_s >= 4
        assert mos > 4.0
        assert probe_leg.mouth_to_ear_ms == pytest.approx(ear_ms, abs=40)


def probes(folder: Path) -> list[tuple[Any, ...]]:
    if not any((folder / "probes").glob("*.parquet")):
        return []
    return rows(folder, "probes", "side, voice, duration_s, visqol_mos_lq, mouth_to_ear_ms, reason")
