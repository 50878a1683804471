"""Joins legs to calls in SQL, and decides for each call: outcome, set-up time, blame.

A call is ``completed`` when both sides heard audio, within the setup limit, with no silence beyond the gap limit, and
both hung up cleanly, not before the caller intended. Busy, declined, … keep their own outcome. All others ``failed``:

- A call that lost the record of one side failed, and the generator is to blame. A caller that never got as far as
  ringing has no other side to lose.
- A call whose answer never reached the caller failed, even when the caller then saw ``no_answer``. Only the join of
  both sides can show this.

A matrix call whose attempt ended in an environment error is not counted as a call, because it says nothing about the
product. Its legs stay in ``legs``, and its attempt stays in the cell.
"""

from __future__ import annotations

from calls.records.record import FUNNEL, HUMAN_OUTCOMES, Blame, Tier
from reports.run.store import RunStore
from reports.slo.metrics import GENERATIONS, NO_ACCESS_LINK
from reports.slo.slo_file import CompletedCallLimits

ANSWER_GLARE_S = 5.0
"""An answer this close before the caller gave up may still have been in transit: two round trips of the worst link."""

BAD_R = 74.0
"""R of 50 on the scale to 100; full band goes to 148. Below it nearly all listeners are dissatisfied."""

EARLY_HANG_UP_S = 1.0
"""A call was cut short when the far end or the service ended it this long before the caller's intended end."""

ECHO_REASON = "peer_gave_up"
"""The reason of a side that only saw the other side hang up before media. The other side knows the cause."""

BLAME_ORDER = (Blame.GENERATOR, Blame.TARGET, Blame.DEVICE, Blame.NETWORK, Blame.UNKNOWN)
"""When the two sides blame different parties, the first one in this order counts."""


def make_calls(store: RunStore, limits: CompletedCallLimits) -> None:
    """Makes the table ``calls`` from ``legs``, with one row for each call."""
    store.execute(_LAST_LEG_OF_EACH_SIDE)
    store.execute(
        _CALLS,
        {
            "setup_limit_ms": limits.setup_limit_s * 1000,
            "gap_limit_ms": limits.gap_limit_ms,
            "glare_s": ANSWER_GLARE_S,
            "early_s": EARLY_HANG_UP_S,
            "bad_r": BAD_R,
        },
    )


def make_seconds(store: RunStore) -> None:
    """Makes the table ``seconds``: arrivals, failures and calls in progress of the swarm, second by second."""
    store.execute(_SECONDS)


def _rank(column: str, order: tuple[str, ...]) -> str:
    """Returns a CASE that turns a name into its place in ``order``. An unknown name comes last."""
    whens = " ".join(f"WHEN '{name}' THEN {place}" for place, name in enumerate(order))
    return f"CASE {column} {whens} ELSE {len(order)} END"


def _blame_rank(side: str) -> str:
    """Returns the rank of the blame that a side gives. The lowest counts; an echo of the other side ranks last."""
    rank = _rank(f"CASE WHEN {side}.outcome = 'failed' THEN {side}.blame END", _BLAMES)
    return f"({rank}) * 2 + CAST({side}.reason = '{ECHO_REASON}' AS INT)"


_HUMAN = "(" + ", ".join(f"'{outcome}'" for outcome in sorted(HUMAN_OUTCOMES)) + ")"
_GENERATION_RANKS = tuple("" if name == NO_ACCESS_LINK else name for name in GENERATIONS)
_FIDELITY = tuple(reversed([str(tier) for tier in Tier]))
_BLAMES = tuple(str(blame) for blame in BLAME_ORDER)
_STAGES = {str(stage): place for place, stage in enumerate(FUNNEL)}

_LAST_LEG_OF_EACH_SIDE = """
CREATE VIEW sides AS
SELECT * FROM legs
WHERE source <> 'matrix' OR (cell, attempt) NOT IN (SELECT cell, attempt FROM void_attempts)
QUALIFY row_number() OVER (PARTITION BY call_id, side ORDER BY ended_at_s DESC) = 1
"""

_JOINED = f"""
SELECT
    coalesce(r.call_id, e.call_id) AS call_id,
    coalesce(r.source, e.source) AS source,
    coalesce(r.cell, e.cell) AS cell,
    coalesce(r.attempt, e.attempt) AS attempt,
    coalesce(r.writer, e.writer) AS writer,
    coalesce(r.person, e.peer) AS caller,
    coalesce(r.peer, e.person) AS callee,
    coalesce(r.persona, '') AS persona,
    coalesce(nullif(r.device, ''), e.device, '') AS device,
    coalesce(nullif(r.scenario, ''), e.scenario, '') AS scenario,
    coalesce(r.media, e.media) AS media,
    CASE WHEN coalesce(r.tier, e.tier) = coalesce(e.tier, r.tier) THEN coalesce(r.tier, e.tier)
         WHEN {_rank("r.tier", _FIDELITY)} < {_rank("e.tier", _FIDELITY)} THEN r.tier || '+' || e.tier
         ELSE e.tier || '+' || r.tier END AS tier,
    coalesce({_rank("e.generation", _GENERATION_RANKS)} < {_rank("r.generation", _GENERATION_RANKS)}, true)
        AND e.call_id IS NOT NULL AS callee_is_worse,
    CASE WHEN callee_is_worse THEN e.generation ELSE r.generation END AS generation,
    CASE WHEN callee_is_worse THEN e.network ELSE r.network END AS network,
    concat_ws(' + ', nullif(r.network, ''), nullif(e.network, '')) AS networks,
    coalesce(r.intended_at_s, e.intended_at_s) AS intended_at_s,
    coalesce(r.started_at_s, e.started_at_s) AS started_at_s,
    greatest(r.ended_at_s, e.ended_at_s) AS ended_at_s,
    e.answered_at_s AS answered_at_s,
    r.first_audio_at_s IS NOT NULL AND e.first_audio_at_s IS NOT NULL AS media_both_ways,
    CASE WHEN media_both_ways THEN greatest(r.first_audio_at_s, e.first_audio_at_s) END AS media_at_s,
    CASE WHEN media_both_ways THEN least(r.ended_at_s, e.ended_at_s) END AS media_until_s,
    (media_at_s - r.intended_at_s) * 1000 - e.answer_wait_ms AS setup_ms,
    (media_at_s - e.answered_at_s) * 1000 AS connect_ms,
    (r.started_at_s - r.intended_at_s) * 1000 AS step_1_ms,
    (r.ringing_at_s - r.started_at_s) * 1000 AS step_2_ms,
    (r.answered_at_s - r.ringing_at_s) * 1000 - e.answer_wait_ms AS step_3_ms,
    (greatest(r.ice_at_s, e.ice_at_s) - r.answered_at_s) * 1000 AS step_4_ms,
    (greatest(r.dtls_at_s, e.dtls_at_s) - greatest(r.ice_at_s, e.ice_at_s)) * 1000 AS step_5_ms,
    (media_at_s - greatest(r.dtls_at_s, e.dtls_at_s)) * 1000 AS step_6_ms,
    greatest(r.max_gap_ms, e.max_gap_ms) AS longest_gap_ms,
    greatest(r.move_gap_ms, e.move_gap_ms) AS move_gap_ms,
    greatest(r.owd_p50_ms, e.owd_p50_ms) AS owd_ms,
    greatest(r.effective_loss_ratio, e.effective_loss_ratio) AS effective_loss_ratio,
    greatest(r.send_late_p99_ms, e.send_late_p99_ms) AS send_late_p99_ms,
    least(r.mos_lq, e.mos_lq) AS any_mos_lq,
    coalesce(r.mos_grounded, true) AND coalesce(e.mos_grounded, true) AS grounded,
    CASE WHEN grounded THEN any_mos_lq END AS mos_lq,
    CASE WHEN grounded THEN least(r.mos_cq, e.mos_cq) END AS mos_cq,
    coalesce(nullif(r.mos_model, ''), e.mos_model, '') AS mos_model,
    least(r.audio_score, e.audio_score) AS audio_score,
    least(r.visqol_mos_lq, e.visqol_mos_lq) AS visqol_mos_lq,
    greatest(r.mouth_to_ear_ms, e.mouth_to_ear_ms) AS mouth_to_ear_ms,
    heard.bad_ratio AS bad_ratio,
    coalesce(nullif(r.fell_back_to, ''), e.fell_back_to, '') AS fell_back_to,
    r.call_id IS NULL
        OR (e.call_id IS NULL AND (r.ringing_at_s IS NOT NULL OR r.answered_at_s IS NOT NULL)) AS half_lost,
    e.answered_at_s IS NOT NULL AND r.answered_at_s IS NULL
        AND r.ended_at_s - e.answered_at_s > $glare_s AND r.outcome IN ('no_answer', 'canceled') AS answer_lost,
    coalesce(r.hung_up_cleanly, false) AND coalesce(e.hung_up_cleanly, false) AS hung_up_cleanly,
    CASE WHEN r.outcome IN {_HUMAN} THEN r.outcome
         WHEN e.outcome IN {_HUMAN} AND r.outcome <> 'failed' THEN e.outcome END AS human_outcome,
    media_both_ways AND setup_ms <= $setup_limit_ms AS set_up_in_time,
    set_up_in_time AND coalesce(longest_gap_ms, 0) <= $gap_limit_ms AS sustained,
    coalesce(r.reason = 'peer_hung_up' AND r.talked_s < r.planned_talk_s - $early_s, false) AS cut_short,
    {_blame_rank("r")} AS caller_blame_rank,
    {_blame_rank("e")} AS callee_blame_rank,
    CASE WHEN callee_blame_rank < caller_blame_rank THEN e.blame
         WHEN r.outcome = 'failed' THEN r.blame WHEN e.outcome = 'failed' THEN e.blame END AS said_blame,
    CASE WHEN callee_blame_rank < caller_blame_rank THEN e.reason
         WHEN r.outcome = 'failed' THEN r.reason WHEN e.outcome = 'failed' THEN e.reason END AS said_reason,
    coalesce(r.send_errors, 0) + coalesce(e.send_errors, 0) AS send_errors,
    coalesce(r.link_lost + r.link_queue_dropped + r.link_outage_dropped, 0)
        + coalesce(e.link_lost + e.link_queue_dropped + e.link_outage_dropped, 0) AS link_dropped,
    CASE WHEN media_both_ways AND sustained THEN {_STAGES["sustained"]}
         WHEN media_both_ways THEN {_STAGES["media_both_ways"]}
         WHEN r.dtls_at_s IS NOT NULL AND e.dtls_at_s IS NOT NULL THEN {_STAGES["dtls"]}
         WHEN r.ice_at_s IS NOT NULL AND e.ice_at_s IS NOT NULL THEN {_STAGES["ice"]}
         WHEN r.answered_at_s IS NOT NULL THEN {_STAGES["answered"]}
         WHEN r.ringing_at_s IS NOT NULL THEN {_STAGES["ringing"]}
         ELSE {_STAGES["attempted"]} END AS reached
FROM (SELECT * FROM sides WHERE side = 'caller') r
FULL OUTER JOIN (SELECT * FROM sides WHERE side = 'callee') e USING (call_id)
LEFT JOIN (
    SELECT call_id, coalesce(sum(duration_s) FILTER (r_lq < $bad_r), 0) / nullif(sum(duration_s), 0) AS bad_ratio
    FROM windows WHERE r_lq IS NOT NULL AND mos_basis <> 'extrapolated' GROUP BY call_id
) heard USING (call_id)
"""

_CALLS = f"""
CREATE TABLE calls AS
WITH joined AS ({_JOINED}),
judged AS (
    SELECT *,
        CASE WHEN half_lost OR answer_lost THEN 'failed'
             WHEN human_outcome IS NOT NULL THEN human_outcome
             WHEN sustained AND hung_up_cleanly AND NOT cut_short THEN 'completed'
             ELSE 'failed' END AS outcome
    FROM joined
)
SELECT * EXCLUDE (
        human_outcome, caller_blame_rank, callee_blame_rank, said_blame, said_reason, callee_is_worse, reached
    ),
    CASE WHEN outcome = 'completed' THEN {_STAGES["ended"]} ELSE reached END AS reached,
    CASE WHEN outcome <> 'failed' THEN ''
         WHEN half_lost THEN 'lost_half'
         WHEN answer_lost THEN 'answer_lost'
         WHEN coalesce(said_reason, '') <> '' THEN said_reason
         WHEN NOT media_both_ways THEN 'no_media_both_ways'
         WHEN NOT set_up_in_time THEN 'setup_limit'
         WHEN NOT sustained THEN 'gap_limit'
         WHEN cut_short THEN 'cut_short'
         ELSE 'no_clean_hang_up' END AS reason,
    CASE WHEN outcome <> 'failed' THEN ''
         WHEN half_lost THEN 'generator'
         WHEN answer_lost THEN 'target'
         WHEN coalesce(said_blame, '') <> '' THEN said_blame
         WHEN send_errors > 0 THEN 'generator'
         WHEN link_dropped > 0 THEN 'network'
         WHEN networks = '' THEN 'target'
         ELSE 'unknown' END AS blame
FROM judged
"""

_SECONDS = """
CREATE TABLE seconds AS
WITH swarm AS (SELECT * FROM calls WHERE source = 'swarm'),
steps AS (
    SELECT CAST(floor(started_at_s) AS BIGINT) AS at_s, 1 AS started, 0 AS failed, 0 AS under_way, 0 AS in_media,
           0 AS probes FROM swarm
    UNION ALL
    SELECT CAST(floor(ended_at_s) AS BIGINT), 0, CAST(outcome = 'failed' AS INT), 0, 0, 0 FROM swarm
    UNION ALL SELECT CAST(ceil(started_at_s) AS BIGINT), 0, 0, 1, 0, 0 FROM swarm
    UNION ALL SELECT CAST(ceil(ended_at_s) AS BIGINT), 0, 0, -1, 0, 0 FROM swarm
    UNION ALL
    SELECT CAST(ceil(media_at_s) AS BIGINT), 0, 0, 0, 1, CAST(tier = 'media' AS INT) FROM swarm WHERE media_both_ways
    UNION ALL
    SELECT CAST(ceil(greatest(media_at_s, media_until_s)) AS BIGINT), 0, 0, 0, -1, -CAST(tier = 'media' AS INT)
    FROM swarm WHERE media_both_ways
),
summed AS (
    SELECT at_s, sum(started) AS started, sum(failed) AS failed, sum(under_way) AS under_way, sum(in_media) AS in_media,
           sum(probes) AS probes
    FROM steps GROUP BY at_s
),
every AS (SELECT unnest(generate_series((SELECT min(at_s) FROM summed), (SELECT max(at_s) FROM summed))) AS at_s)
SELECT every.at_s, coalesce(started, 0) AS started, coalesce(failed, 0) AS failed,
    sum(coalesce(under_way, 0)) OVER running AS under_way,
    sum(coalesce(in_media, 0)) OVER running AS in_media,
    sum(coalesce(probes, 0)) OVER running AS probes
FROM every LEFT JOIN summed USING (at_s)
WINDOW running AS (ORDER BY every.at_s)
"""
