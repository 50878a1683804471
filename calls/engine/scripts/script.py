"""Runs one side's part of a scenario: waits for each step's time, orders its action, waits until it is complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from calls.engine.scripts.scenario_actions import Completion
from calls.scenarios import ScenarioAction, Step


@dataclass(frozen=True, slots=True, eq=False)
class ActionOrder:
    """An order to the leg. It arrives in the leg's inbox like any other event."""

    action: ScenarioAction
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Script:
    """Created with the leg; starts with the first audio received; ends with the call at the latest."""

    def __init__(self, steps: tuple[Step, ...], talk_s: float, order: Callable[[ActionOrder], None]) -> None:
        self.steps_done = 0
        self._steps = steps
        self._talk_s = talk_s
        self._order = order
        self._task: asyncio.Task[None] | None = None
        self._open: tuple[ActionOrder, Completion] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every step is complete."""
        return self.steps_done == len(self._steps)

    def begin(self) -> None:
        """Starts the time of all steps. Safe to call twice."""
        if self._task is None and self._steps:
            self._task = asyncio.get_running_loop().create_task(self._play(), name="scenario")

    def performed(self, do: ActionOrder, settles: Completion) -> None:
        """Notes that the action was carried out and is complete now, or with ``completion``."""
        self._open = (do, settles)
        if settles is None:
            self.settle(None)

    def settle(self, what: Completion) -> None:
        """Completes the open action if it was waiting for ``what``."""
        if self._open is not None and self._open[1] == what:
            do, self._open = self._open[0], None
            self.steps_done += 1
            if not do.done.done():
                do.done.set_result(None)

    def again(self) -> None:
        """Orders the open action once more, because the far end's offer took precedence."""
        if self._open is not None:
            do, self._open = self._open[0], None
            self._order(do)

    async def end(self) -> None:
        """Stops. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _play(self) -> None:
        began_s = asyncio.get_running_loop().time()
        for step in self._steps:
            await asyncio.sleep(began_s + step.at_ratio * self._talk_s - asyncio.get_running_loop().time())
            do = ActionOrder(step.action)
            self._order(do)
            await do.done
