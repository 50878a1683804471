"""Runs a stepwise load in the master: sets the level, waits, has each step judged, and writes the result so far.

This is the gevent side of ``stepwise``. The judging runs in a process of its own.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gevent
import msgspec

from bedrock import crash
from bedrock.child_process import spawn
from bedrock.clock import Clock
from bedrock.project import PROJECT_ROOT
from bedrock.whole_file import write_whole
from loadtests.errors import StepNotJudged
from loadtests.shapes.judge_request import JudgeRequest
from loadtests.shapes.stepwise import StepRequest, Stepwise, StopReason, make_step
from reports.result.stepped_load_result import Judgement, KneeResult, RolloutResult, StepResult
from reports.run.live import LiveWriter

logger = logging.getLogger(__name__)

JUDGING_S = 120.0
"""Limit of one judgement, which normally takes one or two seconds."""
WRITTEN_S = 2.0
"""Time from the end of a call until both of its legs are on the master's disk."""


class StepDriver:
    """Runs one stepwise load, from its first step to its last."""

    def __init__(
        self,
        load: Stepwise,
        run: Path,
        slo: str,
        longest_call_s: float,
        set_level: Callable[[dict[str, object]], None],
        clock: Clock,
    ) -> None:
        """``longest_call_s``: the longest call, ringing included. ``set_level`` sends a level to the workers."""
        self.stage = ""
        """Name of the current step."""
        self.level_calls: float | None = None
        """Level of the current step, in calls at once."""
        self._load = load
        self._run = run
        self._slo = slo
        self._lag_s = longest_call_s + WRITTEN_S
        self._send_level = set_level
        self._clock = clock
        self._live = LiveWriter(run / "live" / "swarm.jsonl")
        self._over = False

    def run(self) -> KneeResult | RolloutResult:
        """Runs all steps, and returns the result. Raises StepNotJudged."""
        request: StepRequest | None = self._load.first()
        level = 0.0
        self._save()
        while request is not None:
            step = self._take(request, level)
            level = request.concurrent_calls
            request = self._load.after(step)
            self._save()
            self._report(step)
        self._over = True
        return self._save()

    def close(self) -> None:
        """Writes that the run was stopped, if the load had not ended by itself."""
        if not self._over:
            self._save("stopped")

    def _take(self, request: StepRequest, level: float) -> StepResult:
        """Holds the level of a step until it is decided or its time is up. Returns the judged step."""
        hold, self.stage, self.level_calls = self._load.hold, request.name, request.concurrent_calls
        # On the way down, calls of the higher level must end by themselves before the new level is reached.
        move_s = hold.rise_s if request.concurrent_calls >= level else max(hold.rise_s, self._lag_s)
        self._send_level({"concurrent_calls": request.concurrent_calls, "move_s": move_s, "scenario": request.scenario})
        from_s = self._clock.unix_s() + move_s + hold.settle_s
        look, judgement = 0, None
        while judgement is None or (judgement.verdict == "INCONCLUSIVE" and look < hold.looks):
            look += 1
            until_s = from_s + hold.window_s(look)
            gevent.sleep(max(0.0, until_s + self._lag_s - self._clock.unix_s()))
            judgement = self._judge(
                JudgeRequest(
                    run=str(self._run), slo=self._slo, from_s=from_s, until_s=until_s, looks=hold.looks,
                    scenario=request.scenario,
                )
            )  # fmt: skip
        return make_step(request, look, judgement)

    def _judge(self, order: JudgeRequest) -> Judgement:
        child = spawn(
            "the judge", [sys.executable, "-m", "loadtests.shapes.step_judge"],
            log_path=self._run / "logs" / "judging.log", cwd=PROJECT_ROOT, pipe_stdout=True,
        )  # fmt: skip
        try:
            said, _ = child.popen.communicate(msgspec.json.encode(order), timeout=JUDGING_S)
            return msgspec.json.decode(said, type=Judgement)
        except subprocess.TimeoutExpired:
            raise StepNotJudged(f"stage '{self.stage}' was not judged within {JUDGING_S:.0f} s") from None
        except msgspec.DecodeError:
            why = f"{child.name} {crash.describe_exit(child.popen.wait(JUDGING_S), child.pid)}"
            sentence = f"stage '{self.stage}' could not be judged: {why}"
            raise StepNotJudged(sentence, hint=child.log_tail(1)) from None
        finally:
            child.stop()

    def _report(self, step: StepResult) -> None:
        judged = step.judgement
        logger.info("Stage %s: %s. %s", step.name, judged.verdict, judged.reason)
        self._live.emit(
            "judged", stage=step.name, verdict=judged.verdict, reason=judged.reason, calls=judged.calls,
            setups_per_s=judged.setups_per_s, looks=step.looks,
        )  # fmt: skip

    def _save(self, ended: StopReason = "") -> KneeResult | RolloutResult:
        result = self._load.result(ended)
        file = self._run / self._load.file_name
        write_whole(file, msgspec.json.format(msgspec.json.encode(result), indent=1))
        return result
