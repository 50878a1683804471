"""``python -m calls.bench.signaling_arm --url URL --core 1``: calls without media, by the engine's own target adapter.

A caller invites, its callee rings and answers, the caller hangs up. When both have seen the end, the next pair takes
its turn.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from bedrock import crash
from calls.bench.orders import serve_orders
from calls.call.call_rules import SignalType

if TYPE_CHECKING:
    from calls.targets.protocol import Signal, Target, TargetSession

SIGN_IN_LIMIT_S = 20.0
PASSWORD = "bench"
_SIGN_INS_AT_ONCE = 8
_END_LIMIT_S = 10.0
_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" + "".join(
    f"a={line}\r\n" for line in ("group:BUNDLE 0", "msid-semantic: WMS *", "x-padding:" + "0" * 700)
)
"""As long as a real audio offer of ours; the service passes it on unread."""


class SignalingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Keep ``at_once`` calls up for ``seconds``."""

    at_once: int
    seconds: float


class SignalingCost(msgspec.Struct, frozen=True, kw_only=True):
    """Cost on our side. Times are from the invitation to the answer as the caller received it."""

    calls: int
    failed: int
    seconds: float
    cpu_s: float
    set_up_ms: list[float]


def caller_name(pair: int) -> str:
    """Returns the caller's name in a pair."""
    return f"bench-caller-{pair}"


def callee_name(pair: int) -> str:
    """Returns the callee's name in a pair."""
    return f"bench-callee-{pair}"


class _IgnoringListener:
    """Ignores events that do not concern its call; the call's own time limit covers them."""

    session: TargetSession

    def on_resuming(self, call_id: str) -> None:
        """The call goes on."""

    def on_garbage(self, what: str) -> None:
        """Ignored."""

    def on_lost(self) -> None:
        """The call does not end, so it counts as failed."""


class _Callee(_IgnoringListener):
    """Rings and answers at once."""

    def on_signal(self, signal: Signal) -> None:
        if signal.what is SignalType.INCOMING:
            self.session.ring(signal.call_id)
            self.session.answer(signal.call_id, "audio", _SDP)


class _Pair(_IgnoringListener):
    """A caller and its callee."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.callee = _Callee()
        self._calls = itertools.count()
        self._call_id = ""
        self._answered_s: float | None = None
        self._ended: asyncio.Future[bool] | None = None

    async def sign_in(self, target: Target) -> None:
        self.session = await target.sign_in(caller_name(self.number), PASSWORD, self, None, SIGN_IN_LIMIT_S)
        self.callee.session = await target.sign_in(
            callee_name(self.number), PASSWORD, self.callee, None, SIGN_IN_LIMIT_S
        )

    async def sign_out(self) -> None:
        await asyncio.gather(self.session.close(), self.callee.session.close())

    async def call(self) -> float | None:
        """Places one call; returns the set-up time in ms, None when it failed."""
        self._call_id = f"bench-{os.getpid()}-{self.number}-{next(self._calls)}"
        self._ended = asyncio.get_running_loop().create_future()
        self._answered_s = None
        began_s = time.monotonic()
        self.session.invite(self._call_id, callee_name(self.number), "audio", _SDP)
        try:
            async with asyncio.timeout(_END_LIMIT_S):
                completed = await self._ended
        except TimeoutError:
            return None
        return (self._answered_s - began_s) * 1000 if completed and self._answered_s is not None else None

    def on_signal(self, signal: Signal) -> None:
        if signal.call_id != self._call_id or self._ended is None or self._ended.done():
            return
        if signal.what is SignalType.ANSWERED:
            self._answered_s = time.monotonic()
            self.session.hang_up(self._call_id)
        elif signal.what in {SignalType.ENDED, SignalType.REFUSED, SignalType.ERROR}:
            self._ended.set_result(signal.what is SignalType.ENDED)

    def on_lost(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(False)


async def _keep_calling(free: asyncio.Queue[_Pair], at_once: int, seconds: float) -> SignalingCost:
    took_ms: list[float] = []
    failed = 0

    async def repeat_until_end() -> None:
        nonlocal failed
        while time.monotonic() < end_s:
            pair = await free.get()
            ms = await pair.call()
            free.put_nowait(pair)
            if ms is None:
                failed += 1
            else:
                took_ms.append(ms)

    cpu_s, wall_s = time.process_time(), time.monotonic()
    end_s = wall_s + seconds
    await asyncio.gather(*(repeat_until_end() for _ in range(at_once)))
    return SignalingCost(
        calls=len(took_ms),
        failed=failed,
        seconds=time.monotonic() - wall_s,
        cpu_s=time.process_time() - cpu_s,
        set_up_ms=took_ms,
    )


async def _run(url: str, count: int) -> None:
    from bedrock.clock import SystemClock
    from calls.engine.process_tuning import tune_garbage_collection
    from calls.targets import open_target

    target = open_target("reference", url, SystemClock())
    pairs = [_Pair(number) for number in range(count)]
    free: asyncio.Queue[_Pair] = asyncio.Queue()
    for pair in pairs:
        free.put_nowait(pair)
    gate = asyncio.Semaphore(_SIGN_INS_AT_ONCE)

    async def sign_in(pair: _Pair) -> None:
        async with gate:
            await pair.sign_in(target)

    async def answer(line: bytes) -> bytes:
        order = msgspec.json.decode(line, type=SignalingOrder)
        return msgspec.json.encode(await _keep_calling(free, order.at_once, order.seconds))

    try:
        await asyncio.gather(*map(sign_in, pairs))
        tune_garbage_collection()
        await serve_orders({}, answer)
        await asyncio.gather(*(pair.sign_out() for pair in pairs))
    finally:
        await target.close()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m calls.bench.signaling_arm", description=__doc__)
    parser.add_argument("--url", required=True, help="the reference service, with the bench's people in it")
    parser.add_argument("--pairs", type=int, required=True, help="how many pairs sign in")
    parser.add_argument("--core", type=int, required=True, help="the one core that this process may use")
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    import uvloop

    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    uvloop.run(_run(given.url, given.pairs))


if __name__ == "__main__":
    with crash.reporting("calls.bench.signaling_arm"):
        main()
