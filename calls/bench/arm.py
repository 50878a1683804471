"""``python -m calls.bench.arm --arm engine --core 1``: one process on one core that holds calls on request.

Orders come as JSON lines on stdin. Each is answered by one JSON line on stdout. The process ends when stdin closes.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

import msgspec

from bedrock import crash
from bedrock.clock import SystemClock
from calls import compiled
from calls.bench.arm_protocol import Arm, ArmOrder, ArmReply
from calls.bench.measure import measure
from calls.bench.orders import serve_orders

ARMS = ("engine", "aiortc")


async def _reply(arm: Arm, core: int, order: ArmOrder) -> ArmReply:
    try:
        if order.calls:
            return ArmReply(step=await measure(arm, order, core, SystemClock()))
        await arm.hold(0, "audio")
        return ArmReply(set_ups=await arm.set_up_and_end(order.seconds))
    except TimeoutError:
        return ArmReply(error=f"{order.calls} {order.media} calls could not be set up in time")


async def _run(name: str, core: int, is_compiled: bool) -> None:
    arm: Arm
    if name == "engine":
        from calls.bench.engine_arm import EngineArm

        arm = EngineArm(asyncio.get_running_loop(), SystemClock())
    else:
        from calls.bench.aiortc_arm import AiortcArm

        arm = AiortcArm(asyncio.get_running_loop())
    if name == "engine":
        # Only now is everything imported that lives for the whole process.
        from calls.engine.process_tuning import tune_garbage_collection

        tune_garbage_collection()

    async def answer(line: bytes) -> bytes:
        return msgspec.json.encode(await _reply(arm, core, msgspec.json.decode(line, type=ArmOrder)))

    try:
        await serve_orders({"compiled": is_compiled}, answer)
    finally:
        await arm.close()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m calls.bench.arm", description=__doc__)
    parser.add_argument("--arm", choices=ARMS, required=True)
    parser.add_argument("--core", type=int, required=True, help="the one core that this process may use")
    given = parser.parse_args()
    # Before any thread starts: threads inherit the affinity.
    os.sched_setaffinity(0, {given.core})
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    if given.arm == "aiortc":  # stock: asyncio's own loop, ordinary priority
        asyncio.run(_run(given.arm, given.core, is_compiled=False))
        return
    # Before the first import of the packet path.
    is_compiled = compiled.use()
    import uvloop

    from calls.engine.process_tuning import raise_priority

    raise_priority()
    uvloop.run(_run(given.arm, given.core, is_compiled))


if __name__ == "__main__":
    with crash.reporting("calls.bench.arm"):
        main()
