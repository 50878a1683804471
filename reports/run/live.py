"""Writes and follows ``live/*.jsonl``: swarm and matrix append one JSON object a line, the command line reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from bedrock.foreign_text import clean_all
from reports.run.file_input import LONGEST_BYTES, Unreadable, decode_json, require_regular


class LiveWriter:
    """Appends events. Several processes may write to one file: each line is one write, so lines never mix."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def emit(self, event: str, **fields: Any) -> None:
        """Appends ``{"event": event, **fields}``, its text clean. Raises OSError when the disk is full."""
        line = msgspec.json.encode(clean_all({"event": event, **fields})) + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


class LiveReader:
    """Follows a live file from its start. The file may not exist yet, and its last line may be incomplete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.problem = ""
        """Why the file, or its first line without a JSON object, cannot be read. Empty for a whole file."""

    def read_new(self) -> list[dict[str, Any]]:
        """Returns the events appended since the last call; skips lines without a JSON object."""
        chunk = self._new_bytes()
        whole, newline, _half = chunk.rpartition(b"\n")
        if len(chunk) == LONGEST_BYTES and not newline:
            self.problem = f"has a line of more than {LONGEST_BYTES // 2**20} MB"
        self._offset += len(whole) + len(newline)
        events = []
        for line in whole.split(b"\n"):
            if not line.strip():
                continue
            try:
                events.append(clean_all(decode_json(line, dict)))
            except Unreadable as error:
                self.problem = self.problem or f"a line {error}"
        return events

    def _new_bytes(self) -> bytes:
        try:
            require_regular(self._path)
            with self._path.open("rb") as file:
                file.seek(self._offset)
                return file.read(LONGEST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except Unreadable as error:
            self.problem = str(error)
        except OSError as error:
            self.problem = f"cannot be read: {error.strerror}"
        return b""
