"""How records of a worker without our disk reach the master's run folder: piece by piece over Locust's own channel.

    worker                                    master
      piece(file, offset, data, last, sum) -->  appends to ``.<name>.part``; the last one renames it into place
                                          <--  got(file, offset): where the next piece begins

One piece is on its way at a time, so that neither end holds more than one in memory; a piece or an answer that is lost
is sent again. Segments are written whole, so a file that has its final name never changes. A file is deleted here when
the master has it whole; what could not be sent stays, and the run says where.
"""

from __future__ import annotations

import logging
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

logger = logging.getLogger(__name__)

PIECE = "ringfence_piece"
GOT = "ringfence_got"
PIECE_BYTES = 256_000
ANSWER_S = 2.0
LOOK_EVERY_S = 0.5
LOG_TAIL_BYTES = 200_000

Send = Callable[[str, dict[str, Any]], None]


class Shipper:
    """Sends what appears in ``folder`` until it is told to finish."""

    def __init__(self, folder: Path, slot: int, send: Send) -> None:
        self.folder = folder
        self._slot = slot
        self._send = send
        self._answer: tuple[str, int] | None = None
        self._answered = Event()
        self._stopping = Event()
        self.files_sent = 0
        self._greenlet = gevent.spawn(self._run)

    def hear(self, file: str, offset: int) -> None:
        """Takes in the master's answer."""
        self._answer = (file, offset)
        self._answered.set()

    def finish(self, timeout_s: float) -> list[Path]:
        """Sends what is left, logs too, for the writers are done. Returns what the master does not have in time."""
        self._stopping.set()
        self._greenlet.join(timeout_s)
        self._greenlet.kill()
        left = [*self._segments(), *self._logs()]
        if not left:
            shutil.rmtree(self.folder, ignore_errors=True)
        return left

    def _run(self) -> None:
        try:
            self._ship_all()
        except _Refused:
            logger.error("the master's disk takes no more records: they stay in %s", self.folder)
        except OSError as error:
            logger.error("records cannot be read to be sent: %s", error)

    def _ship_all(self) -> None:
        while True:
            stopping = self._stopping.is_set()
            for path in self._segments():
                self._ship(path, path.read_bytes())
            if stopping:
                for path in self._logs():
                    self._ship(path, path.read_bytes()[-LOG_TAIL_BYTES:])
                return
            self._stopping.wait(LOOK_EVERY_S)

    def _segments(self) -> list[Path]:
        """What is whole and waits, oldest first, so that the master has no holes."""
        paths = [path for path in self.folder.glob("*/*.parquet") if not path.name.startswith(".")]
        return sorted(paths, key=lambda path: path.stat().st_mtime_ns)

    def _logs(self) -> list[Path]:
        return sorted(self.folder.glob("logs/*.log"))

    def _ship(self, path: Path, data: bytes) -> None:
        name = str(path.relative_to(self.folder))
        total = zlib.crc32(data)
        offset = 0
        while True:
            piece = data[offset : offset + PIECE_BYTES]
            last = offset + len(piece) >= len(data)
            self._answered.clear()
            self._send(
                PIECE,
                {"slot": self._slot, "file": name, "offset": offset, "data": piece, "last": last, "sum": total},
            )
            if not self._answered.wait(ANSWER_S) or self._answer is None or self._answer[0] != name:
                continue
            offset = self._answer[1]
            if offset < 0:
                self._stopping.set()
                raise _Refused
            if offset >= len(data) and last:
                path.unlink(missing_ok=True)
                self.files_sent += 1
                return


class _Refused(Exception):
    """The master cannot keep what we send."""
