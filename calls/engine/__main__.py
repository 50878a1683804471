"""``python -m calls.engine``: one engine process. Prints one JSON line when it is ready, then nothing more.

Ends on Shutdown, on SIGTERM or SIGINT, and when its stdin closes; each time with every row on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from bedrock.clock import SystemClock
from calls.bridge.messages import PROTOCOL
from calls.engine.context import ROLES, Identity
from calls.engine.engine import Engine
from calls.engine.server import Server

NICENESS = -5
"""Packets have deadlines of milliseconds, browsers and reports beside us have not."""
SWITCH_INTERVAL_S = 0.0005
"""How long the thread that writes segments may keep the loop waiting for the interpreter."""
GC_THRESHOLDS = (5_000, 20, 100)
"""Young collections of some 2 ms (20,000 objects take 8); a full one, which stops every call at once, hardly ever."""


def parse(argv: Sequence[str] | None = None) -> tuple[str, Identity]:
    """Returns the ipc address and who this engine is. Exits with code 2 when the command line is wrong."""
    parser = argparse.ArgumentParser(prog="calls.engine", description="One engine process: people, calls, media.")
    parser.add_argument("--ipc", required=True, help="ipc:///path/of.sock to listen on")
    parser.add_argument("--run-folder", type=Path, required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--writer", required=True, help="name of this engine's segments, e.g. swarm-0")
    parser.add_argument("--role", choices=ROLES, default=ROLES[0])
    given = parser.parse_args(argv)
    return given.ipc, Identity(given.run_folder, given.run_id, given.writer, given.role)


async def run(ipc: str, identity: Identity) -> None:
    """Serves until told to end."""
    server = Server(ipc)
    engine = Engine(identity, SystemClock(), server.tell)
    _end_on_signals(engine.stopping.set)
    _end_on_stdin_eof(engine.stopping.set)
    _collect_rarely()
    try:
        print(json.dumps({"event": "ready", "protocol": PROTOCOL, "pid": os.getpid()}), flush=True)
        await server.serve(engine)
    finally:
        await engine.close()
        server.close()


def _end_on_signals(end: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)


def _end_on_stdin_eof(end: Callable[[], None]) -> None:
    """Our parent holds the other end of a pipe; a terminal or a file says nothing about a parent."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            end()

    loop.add_reader(0, readable)


def _collect_rarely() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _come_first() -> None:
    """Asks the kernel to run this process when a packet is due: a late generator would measure itself.

    Real-time round robin, as the links have; only nicer, or as it is, where the rights are missing. Threads that are
    started later inherit it: one that held the interpreter's lock at a lower rank would keep the loop waiting.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        with contextlib.suppress(OSError):
            os.nice(NICENESS)


def main() -> None:
    """The program."""
    ipc, identity = parse()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for noisy in ("aioice", "aiortc"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    _come_first()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    uvloop.run(run(ipc, identity))


if __name__ == "__main__":
    main()
