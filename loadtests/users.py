"""Locust's users: people who are signed in, and the pairs of probes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

import gevent
from gevent import GreenletExit
from gevent.queue import Empty, Queue
from locust import User, task

from calls.records.record import Tier
from loadtests.errors import EngineLost, NoAccountLeft, SignInFailed
from loadtests.people.population import Account
from loadtests.worker.engine_bridge import CallOrder

if TYPE_CHECKING:
    from loadtests.worker.worker import SwarmWorker
    from loadtests.worker.worker_run import WorkerRun

_WORDS = ("hey", "are", "you", "there", "call", "me", "later", "ok", "tomorrow", "home", "lovely", "picture", "thanks")


class SwarmUser(User):
    """What people and probes share: the worker that they belong to."""

    abstract = True
    worker: ClassVar[SwarmWorker | None] = None

    def join(self) -> WorkerRun:
        """Returns our worker's run. Raises GreenletExit, which Locust takes as a quiet leave, when it has none."""
        if self.worker is None or self.worker.run is None:
            raise GreenletExit
        return self.worker.run


class Person(SwarmUser):
    """A signed-in person with a persona: online, writing messages at Poisson times, calling when the load says so."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.account: Account | None = None
        self.orders: Queue[CallOrder] = Queue()

    def on_start(self) -> None:
        """Signs in, or leaves when nobody is left to be."""
        self.swarm = self.join()
        try:
            self.account = self.swarm.claim_person(self.orders)
            self.swarm.sign_in(self.account, Tier.PACKETS)
        except (NoAccountLeft, EngineLost, SignInFailed):
            raise GreenletExit from None
        plan = self.swarm.spec.plan
        self._rng = random.Random(f"messages {self.swarm.spec.seed} {self.account.name}")
        self._messages_per_s = self.account.persona.writes * plan.messages_per_person_per_min / 60
        self._visit_rng = random.Random(f"visits {self.swarm.spec.seed} {self.account.name}")
        self._visits_per_s = plan.visits_per_person_per_min / 60
        now_s = self.swarm.clock.unix_s()
        self._next_message_at_s = now_s + self._gap_s(self._messages_per_s)
        self._next_visit_at_s = now_s + self._gap_s(self._visits_per_s)
        if self._visits_per_s:
            self.swarm.visit(self.account, now_s, self._visit_rng, at_sign_in=True)

    @task
    def live(self) -> None:
        """Waits for the next call to place, message to write or look at the app, and does what comes first."""
        wait_s = max(0.0, min(self._next_message_at_s, self._next_visit_at_s) - self.swarm.clock.unix_s())
        try:
            order = self.orders.get(timeout=min(wait_s, 3600.0))
        except Empty:
            self._write()
            self._look()
        else:
            self.swarm.place_call(order)

    def on_stop(self) -> None:
        """Signs out."""
        if self.account is not None:
            self.swarm.sign_out(self.account)

    def _write(self) -> None:
        intended_at_s = self._next_message_at_s
        if self.account is None or intended_at_s > self.swarm.clock.unix_s():
            return
        self._next_message_at_s += self._gap_s(self._messages_per_s)
        text = " ".join(self._rng.choices(_WORDS, k=self._rng.randint(2, 12)))
        self.swarm.send_message(self.account, text, intended_at_s, self._rng)

    def _look(self) -> None:
        intended_at_s = self._next_visit_at_s
        if self.account is None or intended_at_s > self.swarm.clock.unix_s():
            return
        self._next_visit_at_s += self._gap_s(self._visits_per_s)
        self.swarm.visit(self.account, intended_at_s, self._visit_rng)

    def _gap_s(self, per_s: float) -> float:
        return self._rng.expovariate(per_s) if per_s else float("inf")


class Probe(SwarmUser):
    """A pair of probes: two people of the ``media`` tier who call each other back to back. One user stands for both."""

    fixed_count = 0

    @classmethod
    def want(cls, pairs: int) -> None:
        """Makes Locust start exactly ``pairs`` of them, before anybody else."""
        cls.fixed_count = pairs
        cls.weight = 1 if pairs else 0

    def on_start(self) -> None:
        """Signs both in."""
        self.swarm = self.join()
        try:
            self.schedule, self.pair = self.swarm.claim_probe()
            for account in self.pair:
                self.swarm.sign_in(account, Tier.MEDIA)
            self._turn = self.schedule.first_turn(self.swarm.clock.unix_s())
        except (NoAccountLeft, EngineLost, SignInFailed):
            raise GreenletExit from None

    @task
    def call_again(self) -> None:
        """Waits for this pair's turn and places one call."""
        turn = self._turn
        gevent.sleep(max(0.0, turn.start_s - self.swarm.clock.unix_s()))
        self.swarm.place_probe(self.pair, turn.start_s, turn.talk_s)
        self._turn = self.schedule.next_turn(self.swarm.clock.unix_s())

    def on_stop(self) -> None:
        """Signs both out."""
        for account in getattr(self, "pair", ()):
            self.swarm.sign_out(account)
