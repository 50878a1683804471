"""Answers orders in a bench's child process: one JSON line on stdin per order, one on stdout per answer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable


async def serve_orders(ready: dict[str, object], answer: Callable[[bytes], Awaitable[bytes]]) -> None:
    """Reports that the process is ready, then answers orders until stdin closes."""
    stdin = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin.buffer
    )
    try:
        print(json.dumps({"event": "ready", **ready}), flush=True)
        while line := await stdin.readline():
            print((await answer(line)).decode(), flush=True)
    finally:
        transport.close()
