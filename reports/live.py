"""The live files ``live/*.jsonl``: one JSON object a line, appended by swarm and matrix, followed by the CLI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec


class LiveWriter:
    """Appends events. Several processes may write to one file: every line is one append, so lines never mix."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def emit(self, event: str, **fields: Any) -> None:
        """Appends ``{"event": event, **fields}``. Raises OSError when the disk refuses."""
        line = msgspec.json.encode({"event": event, **fields}) + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


class LiveReader:
    """Follows a live file from its start. The file may not exist yet, and its last line may be half written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read_new(self) -> list[dict[str, Any]]:
        """Returns the events appended since the last call; a line that is not a JSON object is passed over."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except FileNotFoundError:
            return []
        whole, newline, _half = chunk.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        return [event for line in whole.split(b"\n") if (event := _decode(line)) is not None]


def _decode(line: bytes) -> dict[str, Any] | None:
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return event if isinstance(event, dict) else None
