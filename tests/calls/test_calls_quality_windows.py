"""What real calls leave behind: windows of every leg, scored probes of both sides, talk spurts that are no gaps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from calls_world import Driver, Service, rows, wait_for

from calls.media.talk_spurts import COMFORT_S, Conversation
from calls.record import LegRecord, Outcome, Side, Tier

pytestmark = pytest.mark.integration


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple[Path, Driver]]:
    service = Service(tmp_path / "service")
    driver = Driver(tmp_path / "run", "swarm-0", service.url, talk_spurts=True)
    try:
        service.seed("ann", "bob", "cid", "dan")
        yield tmp_path / "run", driver
    finally:
        driver.close()
        service.process.stop()


def said_to(leg: LegRecord) -> tuple[int, int]:
    """Returns how many frames and spurts the call's own conversation has for ``leg`` while it heard the other."""
    assert leg.first_audio_at_s is not None
    conversation, other = Conversation(leg.call_id), int(leg.side is Side.CALLER)
    frame_s = 0.02
    times_s = (leg.first_audio_at_s + number * frame_s for number in range(int(leg.talked_s / frame_s)))
    talks = [conversation.talks(other, at_s) for at_s in times_s]
    begins = sum(now and not before for before, now in pairwise(talks))
    falls_silent = sum(before and not now for before, now in pairwise(talks))
    return sum(talks) + falls_silent + round(talks.count(False) * frame_s / COMFORT_S), begins


def test_probes_are_scored_both_ways_and_people_who_fall_silent_are_no_failure(run: tuple[Path, Driver]) -> None:
    folder, engine = run
    for name, tier in (("ann", Tier.MEDIA), ("bob", Tier.MEDIA), ("cid", Tier.PACKETS), ("dan", Tier.PACKETS)):
        engine.sign_in(name, tier=tier)
    probe, talk = engine.start_call("ann", "bob", talk_s=7.0), engine.start_call("cid", "dan", talk_s=7.0)
    probe_leg, talk_leg = probe(), talk()
    far_leg = engine.callee_leg(talk_leg.call_id)
    wait_for(lambda: next((folder / "probes").glob("*.parquet"), None))
    engine.close()

    for leg in (talk_leg, far_leg):
        assert leg.outcome is Outcome.COMPLETED
        assert leg.max_gap_ms is not None
        assert leg.max_gap_ms < 1000, "silence is not a gap"
        frames, spurts = said_to(leg)
        assert leg.packets_received == pytest.approx(frames, abs=20), "in silence a frame in 400 ms, else one in 20"
        assert leg.talk_spurts == pytest.approx(spurts, abs=1)
        assert leg.m2e_network_ms is not None
        assert leg.m2e_playout_ms is not None
        parts_ms = 20 + 6.5 + leg.m2e_network_ms + leg.m2e_playout_ms
        assert leg.mouth_to_ear_ms == pytest.approx(parts_ms)
        assert (leg.owd_clock, leg.owd_negative) == ("same_clock", 0)
        assert leg.owd_uncertainty_ms == pytest.approx(0.0038, abs=0.0001)

    windows = rows(folder, "windows", "call_id, side, tier, mos_lq, mos_basis, talk_ratio")
    assert {row[:3] for row in windows} == {
        (call_id, side, tier)
        for call_id, tier in ((probe_leg.call_id, "media"), (talk_leg.call_id, "packets"))
        for side in ("caller", "callee")
    }
    assert all(row[3] > 3.5 for row in windows)
    assert any(row[5] < 0.9 for row in windows if row[2] == "packets")

    probes = rows(folder, "probes", "side, voice, duration_s, visqol_mos_lq, mouth_to_ear_ms, reason")
    assert [row[0] for row in probes] == ["callee", "caller"]
    scored = [row for row in probes if not row[5]]
    assert scored
    assert {row[5] for row in probes} <= {"", "no_time"}, "a busy machine may run out of time, and then says so"
    for _side, _voice, duration_s, mos, ear_ms, _reason in scored:
        assert duration_s >= 4
        assert mos > 4.0
        assert probe_leg.mouth_to_ear_ms == pytest.approx(ear_ms, abs=40)
