"""How a bench's child is told what to do: one JSON line on stdin for each order, one on stdout for each answer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable


async def serve_orders(ready: dict[str, object], answer: Callable[[bytes], Awaitable[bytes]]) -> None:
    """Says that we are ready, then answers orders until stdin closes."""
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
