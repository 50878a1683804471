"""Builds one row of ``calls/*.parquet`` from what a leg saw. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from calls.bridge.messages import PersonSpec
from calls.call.blame import BlameEvidence
from calls.call.expectation import allowed_outcomes, is_as_expected
from calls.call.state_machine import Ending
from calls.engine.identity import EngineIdentity
from calls.media.interface import AudioWindow, MediaStats
from calls.quality import CallScore, Heard, score_call, score_window
from calls.quality.opus import bandwidth_of
from calls.records.record import LegRecord, Outcome, Side, WindowRow


@dataclass(slots=True, kw_only=True)
class LegFacts:
    """What a leg notes while it runs. ``*_at_s`` are Unix seconds, as in the record."""

    call_id: str
    side: Side
    peer: str
    media: str
    scenario: str
    intended_at_s: float
    started_at_s: float
    planned_talk_s: float = 0.0
    ringing_at_s: float | None = None
    answered_at_s: float | None = None
    talk_end_at_s: float | None = None
    ended_at_s: float = 0.0
    answer_wait_ms: float = 0.0
    audio_target_kbit: float = 0.0
    """The rate that the far end encodes for: what this leg requested, or less where the far end's link is poor."""
    fell_back_to: str = ""
    fell_back_at_s: float | None = None
    routed_at_s: float | None = None
    ice_restarts: int = 0
    reconnects: int = 0
    held_s: float = 0.0
    muted_s: float = 0.0
    findings: str = ""
    link_unreliable: bool = False
    """Calls may break on this side's access link or on the far end's: see ``calls.call.expectation``."""
    expected: frozenset[Outcome] = frozenset()
    """How the leg's scenario may end; empty without a scenario."""
    script_completed: bool = True
    """All actions of the scenario were carried out."""

    def fall_back(self, to: str, at_s: float) -> None:
        """Notes that the call uses less media from ``at_s`` on. The first time is kept."""
        self.fell_back_to = to
        if self.fell_back_at_s is None:
            self.fell_back_at_s = at_s


_FROM_FACTS = tuple(name for name in LegRecord.__struct_fields__ if name in LegFacts.__dataclass_fields__)
"""Fields of the record that the facts have under the same name."""


def evidence_of(
    stats: MediaStats | None, link_drops: Mapping[str, int], link_max_delay_ms: float, *, peer_is_ours: bool
) -> BlameEvidence:
    """Returns the evidence for the blame of a failure. ``link_drops`` is by cause: loss, queue, outage."""
    return BlameEvidence(
        send_errors=stats.send_errors if stats else 0,
        send_late_p99_ms=(stats.send_late_p99_ms or 0.0) if stats else 0.0,
        link_lost=link_drops.get("loss", 0),
        link_queue_dropped=link_drops.get("queue", 0),
        link_outage_dropped=link_drops.get("outage", 0),
        link_max_delay_ms=link_max_delay_ms,
        peer_link_unreliable=stats.peer_link_unreliable if stats else False,
        max_gap_ms=stats.max_gap_ms if stats else None,
        peer_is_ours=peer_is_ours,
    )


def heard_in(window: AudioWindow, audio_target_kbit: float) -> Heard:
    """Returns a window as the quality model takes it."""
    return Heard(
        loss_ratio=window.effective_loss_ratio,
        burst_ratio=window.burst_ratio,
        kbit=window.audio_kbit,
        ptime_ms=window.ptime_ms,
        mouth_to_ear_ms=window.mouth_to_ear_ms,
        bandwidth=bandwidth_of(audio_target_kbit),
    )


def window_mos(window: AudioWindow | None, audio_target_kbit: float) -> float | None:
    """Returns MOS-LQ of a window; None before there is one, or when no packet was due in it."""
    if window is None or not window.expected:
        return None
    return score_window(heard_in(window, audio_target_kbit)).mos_lq


def score_of(stats: MediaStats, audio_target_kbit: float) -> CallScore | None:
    """Returns the E-model's scores over the windows in which packets were due."""
    return score_call([heard_in(window, audio_target_kbit) for window in stats.windows if window.expected])


def leg_record(
    identity: EngineIdentity,
    person: PersonSpec,
    generation: str,
    facts: LegFacts,
    ending: Ending,
    evidence: BlameEvidence,
    stats: MediaStats | None,
) -> LegRecord:
    """Returns the row. ``stats`` is None for a leg that never had media."""
    expected = (
        "|".join(sorted(allowed_outcomes(facts.expected, unreliable=facts.link_unreliable))) if facts.expected else ""
    )
    record = LegRecord(
        run_id=identity.run_id,
        tier=person.tier,
        source=identity.source,
        writer=identity.writer,
        cell=person.cell,
        attempt=person.attempt,
        person=person.name,
        persona=person.persona,
        device=person.device,
        network=person.network or person.link,
        generation=generation,
        outcome=ending.outcome,
        blame=ending.blame,
        reason=ending.reason,
        stage=ending.stage,
        hung_up_cleanly=ending.hung_up_cleanly,
        link_lost=evidence.link_lost,
        link_queue_dropped=evidence.link_queue_dropped,
        link_outage_dropped=evidence.link_outage_dropped,
        expected_outcome=expected,
        as_expected=_as_expected(facts, ending) if expected else None,
        **{name: getattr(facts, name) for name in _FROM_FACTS},
    )
    return record if stats is None else _with_media(record, facts, stats)


def _as_expected(facts: LegFacts, ending: Ending) -> bool:
    return is_as_expected(
        facts.expected,
        ending,
        script_completed=facts.script_completed,
        findings=bool(facts.findings),
        unreliable=facts.link_unreliable,
    )


def _with_media(record: LegRecord, facts: LegFacts, stats: MediaStats) -> LegRecord:
    score = score_of(stats, facts.audio_target_kbit)
    talk_end_at_s = facts.talk_end_at_s or facts.ended_at_s
    talked_s = max(0.0, talk_end_at_s - stats.first_audio_at_s) if stats.first_audio_at_s is not None else 0.0
    same_name = {
        name: getattr(stats, name) for name in LegRecord.__struct_fields__ if name in MediaStats.__dataclass_fields__
    }
    return msgspec.structs.replace(
        record,
        **same_name,
        talked_s=talked_s,
        mos_lq=score.mos_lq if score else None,
        mos_lq_worst=score.mos_lq_worst if score else None,
        mos_cq=score.mos_cq if score else None,
        mos_model=score.model if score else "",
        mos_grounded=score.grounded if score else False,
        mos_basis=score.basis if score else "",
    )


def window_rows(record: LegRecord, facts: LegFacts, stats: MediaStats) -> list[WindowRow]:
    """Returns the windows of a leg as rows. A window without due packets has no score."""
    return [_window_row(record, facts, window) for window in stats.windows]


def _window_row(record: LegRecord, facts: LegFacts, window: AudioWindow) -> WindowRow:
    score = score_window(heard_in(window, facts.audio_target_kbit)) if window.expected else None
    same_name = {
        name: getattr(window, name)
        for name in WindowRow.__struct_fields__
        if name in AudioWindow.__dataclass_fields__ or name == "effective_loss_ratio"
    }
    return WindowRow(
        run_id=record.run_id,
        writer=record.writer,
        call_id=record.call_id,
        side=record.side,
        tier=record.tier,
        source=record.source,
        cell=record.cell,
        network=record.network,
        generation=record.generation,
        at_s=window.start_at_s,
        mos_lq=score.mos_lq if score else None,
        mos_cq=score.mos_cq if score else None,
        r_lq=score.r_lq if score else None,
        mos_basis=score.basis if score else "",
        **same_name,
    )
