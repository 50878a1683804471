"""Starts the arms of the media bench and sends them orders."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import msgspec

from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import EnvironmentLacks
from bedrock.scratch import scratch_folder
from calls.bench.arm_protocol import ArmOrder, ArmReply
from calls.bench.step import BenchStep, Media, SetUps

_READY_S = 60.0
_PATIENCE_S = 90.0
"""For the set-ups of a level and for its end, in addition to the seconds of the measurement."""


class ArmProcess:
    """One running arm. Methods raise EnvironmentLacks when it ends or stays silent."""

    def __init__(self, child: ChildProcess, is_compiled: bool) -> None:
        self.child = child
        self.is_compiled = is_compiled
        """Whether it runs the compiled packet path."""

    @property
    def pid(self) -> int:
        """Process id of the arm."""
        return self.child.pid

    def level(self, calls: int, seconds: float, media: Media = "audio") -> BenchStep:
        """Returns the cost of ``calls`` calls that are held for ``seconds``."""
        reply = self._ask(ArmOrder(calls=calls, seconds=seconds, media=media))
        assert reply.step is not None
        return reply.step

    def set_ups(self, seconds: float) -> SetUps:
        """Returns how many calls were set up and ended in ``seconds``."""
        reply = self._ask(ArmOrder(calls=0, seconds=seconds))
        assert reply.set_ups is not None
        return reply.set_ups

    def _ask(self, order: ArmOrder) -> ArmReply:
        reply = msgspec.convert(ask(self.child, msgspec.json.encode(order), order.seconds + _PATIENCE_S), ArmReply)
        if reply.error:
            raise EnvironmentLacks(f"{self.child.name}: {reply.error}", hint=self.child.log_tail())
        return reply


def ask(child: ChildProcess, order: bytes, timeout_s: float) -> dict[str, object]:
    """Returns a child's answer to an order. Raises EnvironmentLacks when it ends or stays silent."""
    stdin = child.popen.stdin
    assert stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended: ``wait_ready`` finds out how
        stdin.write(order + b"\n")
        stdin.flush()
    return child.wait_ready(timeout_s)


@contextlib.contextmanager
def running_arm(name: str, core: int) -> Iterator[ArmProcess]:
    """Starts the arm ``name`` pinned to ``core``, and stops it at the end of the block."""
    with scratch_folder() as folder:
        argv = [sys.executable, "-m", "calls.bench.arm", "--arm", name, "--core", str(core)]
        child = spawn(f"the {name} arm", argv, log_path=folder / "arm.log", pipe_stdout=True)
        try:
            ready = child.wait_ready(_READY_S)
            yield ArmProcess(child, bool(ready["compiled"]))
        finally:
            child.stop()


@contextlib.contextmanager
def avoiding_core(core: int) -> Iterator[bool]:
    """Keeps this process off ``core``; yields False when there is no other core."""
    allowed = os.sched_getaffinity(0)
    elsewhere = allowed - {core}
    if not elsewhere:
        yield False
        return
    os.sched_setaffinity(0, elsewhere)
    try:
        yield True
    finally:
        os.sched_setaffinity(0, allowed)
