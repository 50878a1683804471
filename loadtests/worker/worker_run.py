"""One run on one worker: its engine, its people, the calls they intend, and what it tells the master."""

from __future__ import annotations

import logging
import random
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import RLock
from locust.env import Environment
from locust.runners import WorkerRunner

from bedrock.clock import Clock
from bedrock.errors import RingfenceError
from calls.bridge.messages import ListOpened, OpenList
from calls.errors import SegmentNotWritten
from calls.records.record import Tier
from calls.targets.lists import ListKind
from loadtests.arrivals.arrivals import Arrival
from loadtests.crash_guard import CrashGuard
from loadtests.errors import EngineLost, NoAccountLeft
from loadtests.people.population import Account, Population
from loadtests.people.probes import ProbeSchedule
from loadtests.people.visits import Visit, Visits
from loadtests.records.machine import process_identity
from loadtests.records.upload import RecordUploader
from loadtests.records.worker_location import WorkerLocation
from loadtests.wire import shutdown_protocol
from loadtests.wire.clock_offset import ClockOffset
from loadtests.wire.live_stats import WorkerStats
from loadtests.wire.run_spec import RunSpec
from loadtests.worker.dispatch import Dispatch
from loadtests.worker.engine_bridge import CallOrder, EngineBridge
from loadtests.worker.health import WorkerHealth

logger = logging.getLogger(__name__)

MASTER_SILENT_S = 15
"""A master says who is online twice a second. This long without a word, and there is none."""
PRESENCE_S = 0.1
PRESENCE_AT_LEAST_S = 1.0
"""Who is online and busy is told when it changed, at most ten times a second and at least once."""
LAST_LEGS_S = 5.0
"""When all callers have hung up, how long the news may take to their callees' ends of slow links."""


class WorkerRun:
    """One run on one worker."""

    def __init__(
        self,
        environment: Environment,
        clock: Clock,
        spec: RunSpec,
        slot: int,
        location: WorkerLocation,
        guard: CrashGuard,
    ) -> None:
        self.environment = environment
        self.clock = clock
        self.spec = spec
        self.slot = slot
        self.tally = WorkerStats()
        self.acknowledged = Event()
        self.clock_offset = ClockOffset()
        self.uploader = RecordUploader(location.records, slot, self._send) if location.is_remote else None
        self._location = location
        self._guard = guard
        self.population: Population = spec.population()
        self._dispatch = Dispatch(spec, slot, self.population, self.tally, lambda: self.bridge, clock)
        self.presence = self._dispatch.presence
        self._visits = Visits(self.population, guard.spawn)
        self._bridge: EngineBridge | None = None
        self._people = self.population.of_slot(slot)
        self._probes = self.population.probes_of_slot(slot)
        self._claimed_probes = 0
        self._ending = Event()
        self._closing = Event()
        self._closed = False
        self._lock = RLock()
        self._rounds_without_master = 0
        self._clock_fault_sent = self._health_fault_sent = False
        self._process_identity = process_identity()
        self._health = WorkerHealth(location.records, spec.run_id, slot, clock)
        self._greenlets: list[gevent.Greenlet] = []

    @property
    def _runner(self) -> Any:
        return self.environment.runner

    def start_engine(self, problem: RingfenceError | None = None) -> None:
        """Spawns this worker's engine, unless there is a ``problem`` already.

        A worker without an engine stays, and every start that it plans counts as dropped.
        """
        try:
            if problem is not None:
                raise problem
            self._bridge = EngineBridge(
                self.spec,
                self.slot,
                self._location,
                self.tally,
                self.environment.events,
                self._on_trouble,
                self._send_closing,
            )
        except RingfenceError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self._send_fault("engine_not_started", f"worker {self.slot}: {error}{hint}", "invalid")
        except OSError as error:
            self._send_fault("engine_not_started", f"worker {self.slot}: {error}", "invalid")
        self._greenlets = [self._guard.spawn(self._every_second), self._guard.spawn(self._send_presence)]

    @property
    def bridge(self) -> EngineBridge:
        """The living engine. Raises EngineLost when there is none."""
        if self._bridge is None or self._bridge.is_lost:
            raise EngineLost(f"the engine of worker {self.slot} is gone")
        return self._bridge

    # -- what Locust's users ask for

    def claim_person(self, call_queue: Any) -> Account:
        """Returns the next of this worker's people; calls that they are to place go to ``call_queue``."""
        if len(self._dispatch.call_queues) >= len(self._people) or self._ending.is_set():
            raise NoAccountLeft("every person of this worker is signed in")
        account = self._people[len(self._dispatch.call_queues)]
        self._dispatch.call_queues[account.index] = call_queue
        return account

    def claim_probe(self) -> tuple[ProbeSchedule, tuple[Account, Account]]:
        """Returns the next of this worker's probe pairs and its turn among all pairs."""
        if self._claimed_probes >= len(self._probes) or self._ending.is_set():
            raise NoAccountLeft("every probe of this worker is signed in")
        pair = self._probes[self._claimed_probes]
        phase = self._claimed_probes * len(self.spec.slots) + self.slot
        self._claimed_probes += 1
        return ProbeSchedule(phase, self.spec.plan.probe_calls), pair

    def sign_in(self, account: Account, tier: Tier) -> None:
        """Signs a person in. Raises SignInFailed or EngineLost."""
        self.bridge.sign_in(account, tier)
        self.tally.signed_in += 1
        if tier is Tier.PACKETS:
            self.presence.sign_in(account.index)

    def sign_out(self, account: Account) -> None:
        """Signs a person out; without waiting, since Locust ends all its users in one go."""
        self.presence.sign_out(account.index)
        if self._bridge is not None and not self._bridge.is_lost and not self._closing.is_set():
            self._bridge.sign_out(account)

    def place_call(self, order: CallOrder) -> None:
        """Hands a call to the engine and returns; its end is counted when it comes."""
        self._dispatch.place(order)

    def place_probe(self, pair: tuple[Account, Account], intended_at_s: float, talk_s: float) -> None:
        """Places one probe call and waits for its end."""
        if self._ending.is_set():
            self._closing.wait()
            return
        over = Event()
        order = CallOrder(pair[0], pair[1], intended_at_s, Arrival(0.0, talk_s), Tier.MEDIA)

        try:
            self.bridge.place_call(order, lambda _end: over.set())
        except EngineLost:
            return
        over.wait()

    def send_message(self, sender: Account, text: str, intended_at_s: float, rng: random.Random) -> None:
        """Sends a text message to one of the sender's contacts, without waiting for its acknowledgement."""
        contacts = self.population.contacts[sender.index]
        if contacts and not self._ending.is_set() and self._bridge is not None and not self._bridge.is_lost:
            receiver = self.population.people[rng.choice(contacts)]
            self._bridge.send_message(sender, receiver, text, intended_at_s)

    def visit(self, account: Account, intended_at_s: float, rng: random.Random, *, at_sign_in: bool = False) -> None:
        """Has a person open their app and look at their lists, without waiting for them."""
        is_heavy = self._visits.has_heavy_history(account.index)

        def open_page(
            look_at: ListKind, *, person: str = "", before: int | None = None, intended_at_s: float | None = None
        ) -> ListOpened | None:
            if self._ending.is_set() or self._bridge is None or self._bridge.is_lost:
                return None
            order = OpenList(
                name=account.name,
                look_at=look_at,
                person=person,
                before=before,
                intended_at_s=intended_at_s,
                heavy_past=is_heavy,
            )
            return self._bridge.open_list(order)

        self._visits.begin(account.index, Visit(open_page, rng, at_sign_in), intended_at_s)

    # -- the load

    def go(self) -> None:
        """Starts the clock of the load. The master says it once to all workers."""
        if self._dispatch.start_clock():
            self._greenlets.append(self._guard.spawn(self._dispatch.run_arrivals, self._ending))

    def receive_presence(self, online: bytes, busy: bytes) -> None:
        """Takes in who is online and busy elsewhere."""
        self._rounds_without_master = 0
        self.presence.hear(online, busy)

    def set_level(self, level: dict[str, Any]) -> None:
        """Moves the load to another level, as the master says."""
        self._dispatch.set_level(level)

    # -- the end

    def end(self, drain_s: float) -> None:
        """Starts nothing new, waits until our callers' calls are over or ``drain_s`` has passed, and says so."""
        self._ending.set()
        deadline_s = self.clock.monotonic_s() + drain_s
        while self._anything_in_flight() and self.clock.monotonic_s() < deadline_s and not self._closing.is_set():
            self._closing.wait(0.1)
        self._send(shutdown_protocol.DRAINED, {"slot": self.slot, "in_flight": self._in_flight()})

    def close(self) -> None:
        """Hangs up what is left, lets the engine write its last segment, and reports until the master acknowledges."""
        self._ending.set()
        self._closing.set()
        with self._lock:
            if self._closed:
                return
            try:
                if self._bridge is not None:
                    self._bridge.close(0.0 if self._in_flight() else LAST_LEGS_S)
            except EngineLost as error:
                if self.tally.engine:
                    self._send_fault("engine_not_closed", f"worker {self.slot}: {error}", "invalid")
            self._close_health()
            self._closed = True
            self._upload_rest()
            self._send_locust_stats()
            final = {"slot": self.slot, "second": self.tally.take_second()}
            said = shutdown_protocol.repeat_until(
                self.acknowledged,
                lambda: self._send(shutdown_protocol.FINAL, final),
                every_s=1.0,
                timeout_s=shutdown_protocol.FINAL_S,
            )
            if not said:
                logger.warning("The master has not acknowledged this worker's final report")
            gevent.killall([one for one in self._greenlets if one is not gevent.getcurrent()], block=False)

    def _close_health(self) -> None:
        try:
            self._health.close(self.tally)
        except (OSError, SegmentNotWritten) as error:
            logger.error("the last seconds of this worker's health are not written: %s", error)

    def _send_locust_stats(self) -> None:
        """Sends Locust's own last statistics ahead of our final report: at the end of a run it waits for neither."""
        runner = self._runner
        if isinstance(runner, WorkerRunner):
            data: dict[str, Any] = {}
            events: Any = self.environment.events
            events.report_to_master.fire(client_id=runner.client_id, data=data)
            runner.send_message("stats", data)

    def _upload_rest(self) -> None:
        if self.uploader is None:
            return
        if left := self.uploader.finish(shutdown_protocol.UPLOAD_S, self._send_upload_progress):
            detail = (
                f"worker {self.slot}: {len(left)} files did not reach the master; they are in {self._location.records}"
            )
            self._send_fault("records_not_shipped", detail, "invalid")

    def _in_flight(self) -> int:
        if self._bridge is None or self._bridge.is_lost:
            return 0
        return sum(tally.active for tally in self.tally.tiers.values())

    def _anything_in_flight(self) -> bool:
        if self._bridge is None or self._bridge.is_lost:
            return False
        return bool(self._in_flight() or self._bridge.messages_in_flight or self._bridge.lists_in_flight)

    # -- what we say

    def _every_second(self) -> None:
        while not self._closed:
            gevent.sleep(1.0)
            self._write_health()
            if self._bridge is not None:
                self._bridge.check_alive()
            self._send_stats()
            # Counted in rounds of our own: after a stall of this very process, its master has not been silent.
            self._rounds_without_master += 1
            if self._rounds_without_master > MASTER_SILENT_S and not self._ending.is_set():
                logger.error("The master has been silent for %d s: this worker ends its run", MASTER_SILENT_S)
                self.end(0)
                self.acknowledged.set()
                self.close()
                self._runner.quit()

    def _write_health(self) -> None:
        """A disk or a table of descriptors that is full must not silence this worker: it has to say so."""
        try:
            self._health.second(self.tally)
        except (OSError, SegmentNotWritten) as error:
            if isinstance(error, SegmentNotWritten) and not error.is_final:
                logger.error("%s", error)
            elif not self._health_fault_sent:
                self._health_fault_sent = True
                self._on_trouble("health_not_written", str(error), "invalid", ends_load=True)

    def _send_stats(self) -> None:
        second = self.tally.take_second()
        offset = self.clock_offset.best
        if offset is not None:
            second["clock"] = {"offset_ms": offset.offset_ms, "uncertainty_ms": offset.uncertainty_ms}
            if offset.is_far_off and not self._clock_fault_sent:
                self._clock_fault_sent = True
                detail = f"{offset.offset_ms:+.0f} ms from the master's clock, known to {offset.uncertainty_ms:.1f} ms"
                self._send_fault("clock_offset", f"worker {self.slot}: its clock is {detail}", "invalid")
        self._send(shutdown_protocol.SECOND, {"slot": self.slot, "process": self._process_identity, "second": second})
        self._send(shutdown_protocol.TIME, {"sent_at_s": self.clock.unix_s()})

    def _send_presence(self) -> None:
        told, told_at_s = (b"", b""), 0.0
        while not self._closed:
            now_s = self.clock.monotonic_s()
            known = self.presence.to_wire(now_s)
            if known != told or now_s - told_at_s >= PRESENCE_AT_LEAST_S:
                told, told_at_s = known, now_s
                self._send(shutdown_protocol.PRESENCE, {"slot": self.slot, "online": known[0], "busy": known[1]})
            gevent.sleep(PRESENCE_S)

    def _on_trouble(self, what: str, detail: str, severity: str, ends_load: bool) -> None:
        if what == "engine_lost":
            self.tally.signed_in = 0
            self.tally.engine = {}
            self.presence.sign_out_all()
        self._send_fault(what, f"worker {self.slot}: {detail}", severity, ends_load)

    def _send_closing(self, step: str, left: int, limit_s: float) -> None:
        self._send(shutdown_protocol.CLOSING, {"slot": self.slot, "step": step, "left": left, "limit_s": limit_s})

    def _send_upload_progress(self, left: int) -> None:
        self._send_closing("shipping records", left, shutdown_protocol.UPLOAD_S)

    def _send_fault(self, what: str, detail: str, severity: str, ends_load: bool = False) -> None:
        logger.error("%s: %s", what, detail)
        fault = {"slot": self.slot, "what": what, "detail": detail, "severity": severity, "ends_load": ends_load}
        self._send(shutdown_protocol.FAULT, fault)

    def _send(self, message: str, data: dict[str, Any]) -> None:
        self._runner.send_message(message, data)
