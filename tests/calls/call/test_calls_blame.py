from __future__ import annotations

import pytest
from call_machines import in_state

from calls.call.blame import BlameEvidence
from calls.call.call_rules import CallState
from calls.records.record import Blame, Side


@pytest.mark.parametrize(
    ("reason", "evidence", "blame"),
    [
        ("ice_timeout", BlameEvidence(), Blame.UNKNOWN),
        ("ice_timeout", BlameEvidence(link_outage_dropped=3), Blame.NETWORK),
        ("dtls_failed", BlameEvidence(link_lost=1), Blame.NETWORK),
        ("dtls_failed", BlameEvidence(link_lost=1, send_errors=1), Blame.GENERATOR),
        ("gap", BlameEvidence(link_queue_dropped=4), Blame.NETWORK),
        ("gap", BlameEvidence(send_late_p99_ms=41.0), Blame.GENERATOR),
        ("gap", BlameEvidence(), Blame.UNKNOWN),
        ("signaling_lost", BlameEvidence(), Blame.TARGET),
        ("signaling_lost", BlameEvidence(link_outage_dropped=1), Blame.NETWORK),
        ("peer_lost", BlameEvidence(peer_is_ours=True), Blame.GENERATOR),
        ("peer_lost", BlameEvidence(), Blame.UNKNOWN),
        ("dropped_by_service", BlameEvidence(peer_is_ours=True), Blame.TARGET),
        ("no_ringing", BlameEvidence(), Blame.UNKNOWN),
        ("no_ringing", BlameEvidence(link_outage_dropped=1), Blame.NETWORK),
        ("engine_stopped", BlameEvidence(), Blame.GENERATOR),
        ("bad_answer", BlameEvidence(), Blame.TARGET),
        ("peer_gave_up", BlameEvidence(link_lost=5), Blame.UNKNOWN),
    ],
)
def test_blame(reason: str, evidence: BlameEvidence, blame: Blame) -> None:
    machine = in_state(Side.CALLER, CallState.TALKING)
    machine.stop(reason)
    assert machine.ending(evidence).blame is blame
