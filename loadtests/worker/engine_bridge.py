"""One worker's engine: what Locust's greenlets ask of it, and what it tells Locust's statistics.

The engine stamps every time itself; a greenlet that waits for the hub would only add its own lateness.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import Any

import zmq.green

from calls.bridge.client import EngineClient
from calls.bridge.messages import (
    AnswerHabit,
    AnyEvent,
    CallFinished,
    Configure,
    EngineHealth,
    EngineTrouble,
    ListOpened,
    MessageDone,
    OpenList,
    PersonSpec,
    PlaceCall,
    SendMessage,
    SignIn,
    SignOut,
    StillClosing,
    TargetSpec,
)
from calls.errors import BridgeError, EngineGone
from calls.records.record import Blame, Outcome, Tier
from calls.targets.lists import ListKind
from loadtests.arrivals.arrivals import Arrival
from loadtests.errors import CallFailed, EngineLost, ListNotShown, MessageFailed, SignInFailed
from loadtests.people.population import Account
from loadtests.records.worker_location import WorkerLocation
from loadtests.wire.live_stats import WorkerStats, setup_ms_of
from loadtests.wire.run_spec import RunSpec

logger = logging.getLogger(__name__)

SIGN_IN_S = 20.0
CONFIGURE_S = 10.0
RING_MARGIN_S = 15.0
"""The engine gives up this much later than the service should have: no answer is then the service's failure."""
LIST_S = 20.0
"""Like the web client, people give up on a list after so long."""
LIST_NAMES = {ListKind.THREADS: "threads", ListKind.THREAD: "open thread", ListKind.CALLS: "missed calls"}
"""Rows of Locust's statistics."""
IN_CALL = "in_call"
"""The engine's code for a caller who is in a call."""
NOT_ASKED = frozenset({"no_lists", "offline"})
"""The engine's codes for a list that nobody asked the service for: it has none, or the person is not online."""
PROBE_HABIT = AnswerHabit(answer_after_s=0.3)
"""Probes wait for each other's call and take it."""


class CallEnd(Enum):
    """What became of a call that was ordered."""

    RECORDED = "recorded"
    """It has its record, whatever its outcome."""
    NOT_PLACED = "not placed"
    """Its caller was rung in the very moment: somebody else has to place it."""
    REFUSED = "refused"
    """The engine would not place it, e.g. since its caller is offline. Counted as a dropped start."""
    LOST = "lost"
    """The engine died with it."""


@dataclass(frozen=True, slots=True)
class CallOrder:
    """One call to place."""

    caller: Account
    callee: Account
    intended_at_s: float
    arrival: Arrival
    """How long they are to talk, what kind of call it is, and how patient its caller."""
    tier: Tier
    tries: int = 0
    """How often this start was given to somebody who turned out to be in a call already."""


class EngineBridge:
    """The engine process of one worker for one run."""

    def __init__(
        self,
        spec: RunSpec,
        slot: int,
        location: WorkerLocation,
        tally: WorkerStats,
        events: Any,
        on_trouble: Callable[[str, str, str, bool], None],
        on_closing: Callable[[str, int, float], None],
    ) -> None:
        """Starts and configures the engine. Raises EnvironmentLacks or BridgeError when it does not come up.

        ``on_trouble`` is told (what, detail, severity, whether the load has to end) of what the run should know;
        ``on_closing`` (step, what is left, its bound in seconds) of the engine's progress towards its end.
        """
        self._tally = tally
        self._request: Any = events.request
        self._on_trouble = on_trouble
        self._on_closing = on_closing
        self.messages_in_flight = 0
        """Not yet acknowledged, and not yet given up."""
        self.lists_in_flight = 0
        """Pages that have not come yet, and are not yet given up."""
        self._gone_reported = False
        self._closing = False
        name = f"swarm-{slot}"
        self._media_address = location.media_address
        log = location.records / "logs" / f"engine-{name}.log"
        self._client = EngineClient.spawn(
            location.records, spec.run_id, name, "engine", zmq_module=zmq.green, log_path=log, on_event=self._on_event
        )
        target = TargetSpec(kind=spec.target_kind, url=spec.target_url)
        configure = Configure(
            target=target,
            setup_limit_s=spec.setup_limit_s,
            gap_limit_ms=spec.gap_limit_ms,
            ring_limit_s=spec.no_answer_s + RING_MARGIN_S,
            silence_limit_s=spec.plan.silence_patience_s,
            talk_spurts=spec.plan.dtx,
            seed=spec.seed * 1000 + slot,
        )
        try:
            self._client.request(configure, CONFIGURE_S)
        except BaseException:
            self._client.close(1.0)
            raise

    @property
    def is_lost(self) -> bool:
        """Whether the engine is gone."""
        return not self._client.is_alive()

    def sign_in(self, person: Account, tier: Tier) -> None:
        """Signs a person in, and counts how long it took. Raises SignInFailed, or EngineLost."""
        habits = person.persona.answers
        answers = AnswerHabit(
            answer_after_s=habits.after_s,
            ring_jitter=habits.jitter,
            decline_ratio=habits.declines,
            ignore_ratio=habits.ignores,
        )
        spec = PersonSpec(
            name=person.name,
            password=person.password,
            persona=person.persona_id,
            device=person.persona.device,
            network=person.network,
            media_address=self._media_address,
            tier=tier,
            answers=PROBE_HABIT if tier is Tier.MEDIA else answers,
            scenario="swarm" if tier is Tier.PACKETS else "probe",
        )
        try:
            reply = self._client.request(SignIn(person=spec), SIGN_IN_S + CONFIGURE_S)
        except EngineGone as error:
            self._report_engine_gone(error)
            raise EngineLost(str(error)) from None
        except BridgeError as error:
            self._tally.sign_in_failed += 1
            failure = SignInFailed(f"sign-in: {getattr(error, 'code', 'no reply')}")
            self._fire("SIGN-IN", "sign-in", None, failure)
            raise failure from None
        self._fire("SIGN-IN", f"round trip ({person.network or 'no link'})", reply.rtt_ms)

    def sign_out(self, person: Account) -> None:
        """Asks the engine to sign a person out, and does not wait for it."""
        self._client.submit(SignOut(name=person.name))

    def place_call(self, order: CallOrder, on_over: Callable[[CallEnd], None]) -> None:
        """Places a call; ``on_over`` runs once, when it has ended in whatever way. Raises EngineLost."""
        if self.is_lost:
            raise EngineLost("the engine is gone")
        self._tally.call_started(order.tier)
        command = PlaceCall(
            caller=order.caller.name,
            callee=order.callee.name,
            intended_at_s=order.intended_at_s,
            talk_s=order.arrival.talk_s,
            patience_s=order.arrival.patience_s,
            scenario=order.arrival.scenario if order.tier is Tier.PACKETS else "probe",
        )

        def finished(future: Future[Any]) -> None:
            on_over(self._count_call(order.tier, future))

        self._client.submit(command).add_done_callback(finished)

    def send_message(self, sender: Account, receiver: Account, text: str, intended_at_s: float) -> None:
        """Sends a text message, and counts its acknowledgement when it comes."""
        command = SendMessage(sender=sender.name, to=receiver.name, text=text, intended_at_s=intended_at_s)
        self.messages_in_flight += 1
        self._client.submit(command).add_done_callback(self._count_message)

    def open_list(self, look: OpenList) -> ListOpened | None:
        """Opens a page of a list and waits for it. Returns None when it does not come; counts it either way."""
        name = LIST_NAMES[look.look_at] + (" (heavy past)" if look.heavy_past else "")
        self.lists_in_flight += 1
        try:
            opened: ListOpened = self._client.request(look, LIST_S + CONFIGURE_S)
        except BridgeError as error:
            if isinstance(error, EngineGone):
                self._report_engine_gone(error)
            code = getattr(error, "code", "engine gone" if isinstance(error, EngineGone) else "engine silent")
            if code not in NOT_ASKED:
                self._count_list(name, ListOpened(took_ms=0.0, reason=code, blame=Blame.GENERATOR))
            return None
        finally:
            self.lists_in_flight -= 1
        self._count_list(name, opened)
        return None if opened.reason else opened

    def _count_list(self, name: str, opened: ListOpened) -> None:
        if opened.reason:
            self._tally.lists_failed += 1
            failure = ListNotShown(f"{name}: {opened.reason} (blame {opened.blame.value or 'unknown'})")
            self._fire("LIST", name, None, failure)
        else:
            self._tally.lists_ok += 1
            self._fire("LIST", name, opened.took_ms, size_bytes=opened.size_bytes)

    def close(self, grace_s: float) -> None:
        """Hangs up what is left after ``grace_s``, flushes the records to disk, and ends the engine.

        Takes as long as the engine makes progress. Raises EngineLost when it was gone already or got stuck: records
        may be missing.
        """
        self._closing = True
        try:
            self._client.drain(grace_s)
        except BridgeError as error:
            self._gone_reported = True
            raise EngineLost(f"its engine could not be closed in order: {error}") from None
        finally:
            self._client.close()

    def _count_call(self, tier: Tier, future: Future[Any]) -> CallEnd:
        error = future.exception()
        if error is not None:
            if isinstance(error, EngineGone):
                self._report_engine_gone(error)
                self._tally.call_lost(tier)
                self._fire("CALL", f"setup ({tier.value})", None, CallFailed("the generator's engine died"))
                return CallEnd.LOST
            self._tally.call_not_placed(tier)
            code = getattr(error, "code", type(error).__name__)
            if code == IN_CALL:
                return CallEnd.NOT_PLACED
            self._fire("CALL", f"setup ({tier.value})", None, CallFailed(f"the engine refused: {code}"))
            return CallEnd.REFUSED
        finished: CallFinished = future.result()
        leg = finished.leg
        self._tally.call_finished(leg)
        if leg.outcome is Outcome.COMPLETED:
            self._fire("CALL", f"setup ({tier.value})", setup_ms_of(leg))
        elif leg.outcome is Outcome.FAILED:
            failure = CallFailed(f"{leg.stage.value}: {leg.reason or 'unknown'} (blame {leg.blame.value or 'unknown'})")
            self._fire("CALL", f"setup ({tier.value})", setup_ms_of(leg), failure)
        else:
            self._fire("CALL", f"{leg.outcome.value} ({tier.value})", None)
        return CallEnd.RECORDED

    def _count_message(self, future: Future[Any]) -> None:
        self.messages_in_flight -= 1
        error = future.exception()
        if error is not None:
            self._tally.messages_failed += 1
            code = getattr(error, "code", "engine gone" if isinstance(error, EngineGone) else type(error).__name__)
            self._fire("MESSAGE", "acknowledged", None, MessageFailed(f"message: {code}"))
            return
        done: MessageDone = future.result()
        if done.row.ok:
            self._tally.messages_ok += 1
            self._fire("MESSAGE", "acknowledged", done.row.ack_ms)
        else:
            self._tally.messages_failed += 1
            self._fire("MESSAGE", "acknowledged", None, MessageFailed(f"message: {done.row.reason or 'unknown'}"))

    def _on_event(self, event: AnyEvent) -> None:
        if isinstance(event, EngineHealth):
            self._tally.engine_second(event.row)
        elif isinstance(event, EngineTrouble):
            severity = "invalid" if event.loses_data else "note"
            self._on_trouble(f"engine_{event.code}", event.message, severity, event.ends_load)
        elif isinstance(event, StillClosing):
            self._on_closing(event.step, event.left, event.limit_s)

    def _report_engine_gone(self, error: EngineGone) -> None:
        if not self._gone_reported and not self._closing:
            self._gone_reported = True
            lost = sum(tally.active for tally in self._tally.tiers.values())
            self._on_trouble("engine_lost", f"{error}; {lost} calls of its people were in progress", "invalid", False)

    def check_alive(self) -> None:
        """Tells of the engine's death when nobody was waiting for a reply."""
        if isinstance(self._client.failure, EngineGone):
            self._report_engine_gone(self._client.failure)

    def _fire(
        self,
        kind: str,
        name: str,
        response_ms: float | None,
        exception: Exception | None = None,
        *,
        size_bytes: int = 0,
    ) -> None:
        self._request.fire(
            request_type=kind, name=name, response_time=response_ms, response_length=size_bytes, exception=exception
        )
