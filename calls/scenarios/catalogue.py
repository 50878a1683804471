"""Lists all scenarios. The ratios leave room for a round trip of signaling between two actions of a short call."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from calls.call.decisions import Decision
from calls.records.record import Outcome
from calls.scenarios.scenario import Part, Scenario, ScenarioAction, Step

_COMPLETED = frozenset({Outcome.COMPLETED})
_AS_PEOPLE_DO = _COMPLETED | {Outcome.DECLINED, Outcome.NO_ANSWER, Outcome.CANCELED, Outcome.BUSY}
_TALKS = Part(_COMPLETED)
_ANSWERS = Part(_COMPLETED, decision=Decision.ANSWER)
RACE_AFTER_S = 0.6
"""When the two sides of a race act: late enough that every device rings."""


def _ends(outcome: Outcome) -> frozenset[Outcome]:
    return frozenset({outcome})


_ALL = (
    Scenario(
        "talk",
        "A call as its people are used to make it: mostly answered, talked through, and hung up by the caller",
        Part(_AS_PEOPLE_DO),
        Part(_AS_PEOPLE_DO),
        needs_patience=False,
    ),
    Scenario(
        "decline",
        "The callee looks at the call and declines it",
        Part(_ends(Outcome.DECLINED)),
        Part(_ends(Outcome.DECLINED), decision=Decision.DECLINE),
    ),
    Scenario(
        "busy",
        "A second caller calls somebody who is in a call",
        Part(_ends(Outcome.BUSY)),
        Part(_ends(Outcome.BUSY), decision=Decision.ANSWER),
        needs_busy_callee=True,
    ),
    Scenario(
        "cancel_race",
        "The caller cancels in the moment in which the callee answers: the two cross on the way",
        Part(_ends(Outcome.CANCELED), after_s=RACE_AFTER_S),
        Part(_ends(Outcome.CANCELED), decision=Decision.ANSWER, after_s=RACE_AFTER_S),
    ),
    Scenario(
        "glare",
        "Two people call each other at once: one call wins, the other is refused as busy",
        _TALKS,
        Part(_COMPLETED, decision=Decision.ANSWER, after_s=0.0),
    ),
    Scenario(
        "no_answer",
        "Nobody picks up until the service gives up",
        Part(_ends(Outcome.NO_ANSWER)),
        Part(_ends(Outcome.NO_ANSWER), decision=Decision.IGNORE),
    ),
    Scenario(
        "multi_device",
        "The callee is signed in twice and both devices answer: the first wins, the other is told so",
        _TALKS,
        Part(frozenset({Outcome.COMPLETED, Outcome.CANCELED}), decision=Decision.ANSWER, after_s=RACE_AFTER_S),
        needs_second_device=True,
    ),
    Scenario(
        "hold",
        "The caller puts the call on hold (sendonly) and takes it back, then again with no media either way (inactive)",
        Part(
            _COMPLETED,
            (
                Step(0.15, ScenarioAction.HOLD),
                Step(0.35, ScenarioAction.UNHOLD),
                Step(0.55, ScenarioAction.HOLD_INACTIVE),
                Step(0.75, ScenarioAction.UNHOLD),
            ),
        ),
        _ANSWERS,
    ),
    Scenario(
        "mute",
        "Both sides mute themselves for a part of the call",
        Part(_COMPLETED, (Step(0.2, ScenarioAction.MUTE), Step(0.6, ScenarioAction.UNMUTE))),
        Part(_COMPLETED, (Step(0.4, ScenarioAction.MUTE), Step(0.8, ScenarioAction.UNMUTE)), decision=Decision.ANSWER),
    ),
    Scenario(
        "upgrade",
        "An audio call becomes a video call, and an audio call again",
        Part(_COMPLETED, (Step(0.25, ScenarioAction.VIDEO_ON), Step(0.7, ScenarioAction.VIDEO_OFF))),
        _ANSWERS,
    ),
    Scenario(
        "ice_restart",
        "First the caller, then the callee moves to another network: new address, ICE restart, same call",
        Part(_COMPLETED, (Step(0.2, ScenarioAction.MOVE),)),
        Part(_COMPLETED, (Step(0.6, ScenarioAction.MOVE),), decision=Decision.ANSWER),
    ),
    Scenario(
        "reconnect",
        "Both sides lose their connection to the service, one after the other, and resume the call within the grace",
        Part(_COMPLETED, (Step(0.2, ScenarioAction.LOSE_SIGNALING),)),
        Part(_COMPLETED, (Step(0.5, ScenarioAction.LOSE_SIGNALING),), decision=Decision.ANSWER),
    ),
    Scenario(
        "abrupt_death",
        "The callee vanishes without a goodbye; the caller is told in bounded time",
        Part(_ends(Outcome.DIED)),
        Part(_ends(Outcome.DIED), (Step(0.5, ScenarioAction.DIE),), decision=Decision.ANSWER),
    ),
    Scenario(
        "shadow",
        "The service checks and routes the call, and rings nobody",
        Part(_ends(Outcome.SHADOWED)),
        Part(_ends(Outcome.SHADOWED)),
    ),
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({scenario.name: scenario for scenario in _ALL})
"""By name. A call without a scenario behaves as ``talk``."""
