"""Reads the command line of ``python -m reference_service``, starts the service, stops it on SIGTERM, SIGINT or SIGHUP.

Exit codes: 0 stopped as asked, 2 wrong command line, 5 the port is taken or the database cannot be used,
70 the service crashed. A crash prints one sentence on stderr and writes the traceback to a file beside the database.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import ipaddress
import json
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import uvloop

from reference_service.app import build
from reference_service.service import Service
from reference_service.settings import Settings, binding_problem
from reference_service.storage.store import StoreUnusable

EXIT_USAGE = 2
EXIT_ENVIRONMENT = 5
EXIT_CRASHED = 70
WEB_ROOT = Path(__file__).parent / "web"


def parse(argv: Sequence[str] | None = None) -> Settings:
    """Returns the checked command line. Exits with code 2 and a sentence when it is wrong."""
    parser = argparse.ArgumentParser(prog="reference_service", description="The calling service under test.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback, or an address inside --link-range")
    parser.add_argument("--port", type=_Whole(0, 65535), default=0, help="0 takes any free port (default)")
    parser.add_argument("--database", type=Path, required=True, help="SQLite file; created when it does not exist")
    parser.add_argument("--link-range", type=_link_range, default=_link_range("10.213.0.0/16"), metavar="CIDR")
    parser.add_argument("--no-answer-s", type=_seconds, default=30.0, metavar="S")
    parser.add_argument("--degradation", choices=("on", "off"), default="on")
    parser.add_argument("--answer-delay-ms", type=_Whole(0, 600_000), default=0, metavar="MS")
    parser.add_argument("--lose-every-nth-answer", type=_Whole(0, 1_000_000_000), default=0, metavar="N")
    parser.add_argument(
        "--token-lifetime-s", type=_Whole(1, 31_536_000), default=43_200, metavar="S",
        help="how long a sign-in token is valid (default 12 h); a new password ends it too",
    )  # fmt: skip
    parser.add_argument(
        "--max-waiting", type=_Whole(1, 100_000), default=1024, metavar="N",
        help="most connections without a signed-in user; above it the longest silent one is closed (default 1024)",
    )  # fmt: skip
    parser.add_argument(
        "--silence-s", type=_seconds, default=10.0, metavar="S",
        help="time limit for a client's headers, body and hello (default 10 s)",
    )  # fmt: skip
    parser.add_argument("--exit-on-stdin-eof", action="store_true")
    given = parser.parse_args(argv)
    if sentence := binding_problem(given.host, given.link_range):
        parser.error(sentence)
    return Settings(
        host="127.0.0.1" if given.host == "localhost" else given.host,
        port=given.port,
        database=given.database,
        link_range=given.link_range,
        no_answer_s=given.no_answer_s,
        degradation=given.degradation == "on",
        answer_delay_ms=given.answer_delay_ms,
        lose_every_nth_answer=given.lose_every_nth_answer,
        admin_token=os.environ.get("RINGFENCE_ADMIN_TOKEN", ""),
        token_lifetime_s=float(given.token_lifetime_s),
        max_waiting=given.max_waiting,
        silence_s=given.silence_s,
        exit_on_stdin_eof=given.exit_on_stdin_eof,
        web_root=WEB_ROOT,
    )


class _Whole:
    """An argparse type: a whole number in [low, high]."""

    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high

    def __call__(self, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not self._low <= value <= self._high:
            raise argparse.ArgumentTypeError(f"{value} is not between {self._low} and {self._high}")
        return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 600:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0.1 and 600 seconds")
    return value


def _link_range(text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
    if not network.is_private:
        raise argparse.ArgumentTypeError(f"{network} is not a private range")
    return network


async def run(settings: Settings) -> int:
    """Serves until asked to stop. Returns the exit code."""
    try:
        service = Service(settings)
    except StoreUnusable as problem:
        return _fail(str(problem))
    try:
        try:
            await service.load()
        except sqlite3.Error as problem:
            return _fail(f"cannot use the database {settings.database}: {problem}")
        runner, listeners = build(service)
        await runner.setup()
        try:
            await listeners.start(settings.host, settings.port)
        except OSError as problem:
            await runner.cleanup()
            return _fail(_why_not_listening(settings, problem))
        stop = _stop_event(settings)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        ready = {"event": "ready", "url": f"http://{host}:{listeners.port}", "port": listeners.port}
        print(json.dumps(ready), flush=True)
        await stop.wait()
        await listeners.stop()
        await service.close_connections()
        await runner.cleanup()
    finally:
        await service.close()
    return 0


def _end_signals() -> list[signal.Signals]:
    """Includes SIGHUP, the signal of a closed terminal, unless nohup(1) has it ignored."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    return numbers if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*numbers, signal.SIGHUP]


def _stop_event(settings: Settings) -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _end_signals():
        loop.add_signal_handler(number, stop.set)
    if settings.exit_on_stdin_eof:

        def wait_for_eof() -> None:
            while os.read(0, 4096):
                pass
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=wait_for_eof, name="stdin-eof", daemon=True).start()
    return stop


def _why_not_listening(settings: Settings, problem: OSError) -> str:
    where = f"{settings.host}:{settings.port}"
    if problem.errno == errno.EADDRINUSE:
        return f"{where} is taken by another program: give another --port, or 0 for a free one"
    return f"cannot listen on {where}: {os.strerror(problem.errno or 0)}"


def _fail(sentence: str) -> int:
    print(f"reference_service: {sentence}", file=sys.stderr, flush=True)
    return EXIT_ENVIRONMENT


def _crashed(error: Exception, database: Path) -> int:
    at = time.strftime("%Y-%m-%dT%H%M%S")
    file = database.absolute().with_name(f"crash-reference_service-{at}-{os.getpid()}.txt")
    try:
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
        where = f"traceback in {file}"
    except OSError:
        traceback.print_exception(error)
        where = "traceback above"
    reason = " ".join(f"{type(error).__name__}: {error}".split()).encode("ascii", "backslashreplace").decode()
    print(f"reference_service crashed: {reason[:300]}; {where}", file=sys.stderr, flush=True)
    return EXIT_CRASHED


def main() -> None:
    """The program."""
    settings = parse()
    try:
        code = uvloop.run(run(settings))
    except Exception as error:
        code = _crashed(error, settings.database)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # everything is on disk: a second signal must not change the exit code
    sys.exit(code)


if __name__ == "__main__":
    main()
