"""Runs one engine process as a program. Prints one JSON line when it is ready, then nothing more.

Ends on Shutdown, on SIGTERM, SIGINT or SIGHUP, and when its stdin closes. All rows are on disk in each case.
"""

from __future__ import annotations

import argparse
import asyncio
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
from bedrock.end_signals import end_signals
from calls.bridge.messages import PROTOCOL
from calls.engine.engine import Engine
from calls.engine.identity import ROLES, EngineIdentity
from calls.engine.process_tuning import raise_priority, tune_garbage_collection
from calls.engine.server import Server


def parse(argv: Sequence[str] | None = None) -> tuple[str, EngineIdentity]:
    """Returns the ipc address and this engine's identity. Exits with code 2 when the command line is wrong."""
    parser = argparse.ArgumentParser(prog="calls.engine", description="One engine process: people, calls, media.")
    parser.add_argument("--ipc", required=True, help="ipc:///path/of.sock to listen on")
    parser.add_argument("--run-folder", type=Path, required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--writer", required=True, help="name of this engine's segments, e.g. swarm-0")
    parser.add_argument("--role", choices=ROLES, default=ROLES[0])
    given = parser.parse_args(argv)
    return given.ipc, EngineIdentity(given.run_folder, given.run_id, given.writer, given.role)


async def run(ipc: str, identity: EngineIdentity) -> None:
    """Serves until it is told to end."""
    server = Server(ipc)
    engine = Engine(identity, SystemClock(), server.tell)
    _end_on_signals(engine.stopping.set)
    _end_on_stdin_eof(engine.stopping.set)
    tune_garbage_collection()
    try:
        print(json.dumps({"event": "ready", "protocol": PROTOCOL, "pid": os.getpid()}), flush=True)
        await server.serve(engine)
    finally:
        await engine.close()
        server.close()


def _end_on_signals(end: Callable[[], None]) -> None:
    for number in (signal.SIGINT, *end_signals()):
        asyncio.get_running_loop().add_signal_handler(number, end)


def _end_on_stdin_eof(end: Callable[[], None]) -> None:
    """Ends when the parent closes its end of the pipe. A terminal or a file says nothing about a parent."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            end()

    loop.add_reader(0, readable)


def main() -> None:
    """Entry point."""
    ipc, identity = parse()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for noisy in ("aioice", "aiortc"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    raise_priority()
    uvloop.run(run(ipc, identity))
