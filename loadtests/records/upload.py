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
import math
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from bedrock.scratch import keep

logger = logging.getLogger(__name__)

CHUNK = "ringfence_piece"
RECEIVED = "ringfence_got"
CHUNK_BYTES = 256_000
ANSWER_S = 2.0
LOOK_EVERY_S = 0.5
LOG_TAIL_BYTES = 200_000

Send = Callable[[str, dict[str, Any]], None]


class RecordUploader:
    """Sends what appears in ``folder`` until it is told to finish."""

    def __init__(self, folder: Path, slot: int, send: Send) -> None:
        self.folder = folder
        self._slot = slot
        self._send = send
        self._answer: tuple[str, int] | None = None
        self._answered = Event()
        self._stopping = Event()
        self._offset = 0
        """How much of the file in hand has arrived."""
        self._greenlet = gevent.spawn(self._run)

    def hear(self, file: str, offset: int) -> None:
        """Takes in the master's answer."""
        self._answer = (file, offset)
        self._answered.set()

    def finish(self, patience_s: float, on_progress: Callable[[int], None] = lambda _left: None) -> list[Path]:
        """Sends what is left, logs too, for the writers are done. Returns what the master does not have in the end.

        Gives up once nothing more has arrived for ``patience_s``. ``on_progress`` hears how many bytes are left.
        """
        self._stopping.set()
        look_s = min(LOOK_EVERY_S, patience_s)
        least, waited_s = math.inf, 0.0
        while not self._greenlet.ready() and waited_s < patience_s:
            if (left := self._bytes_left()) < least:
                least, waited_s = left, 0.0
                on_progress(left)
            self._greenlet.join(look_s)
            waited_s += look_s
        self._greenlet.kill()
        files = [*self._segments(), *self._logs()]
        if files:
            keep(self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        return files

    def _bytes_left(self) -> int:
        return sum(path.stat().st_size for path in [*self._segments(), *self._logs()]) - self._offset

    def _run(self) -> None:
        try:
            self._upload_all()
        except _Refused:
            logger.error("the master's disk takes no more records: they stay in %s", self.folder)
        except OSError as error:
            logger.error("records cannot be read to be sent: %s", error)

    def _upload_all(self) -> None:
        while True:
            stopping = self._stopping.is_set()
            for path in self._segments():
                self._upload(path, path.read_bytes())
            if stopping:
                for path in self._logs():
                    self._upload(path, path.read_bytes()[-LOG_TAIL_BYTES:])
                return
            self._stopping.wait(LOOK_EVERY_S)

    def _segments(self) -> list[Path]:
        """What is whole and waits, oldest first, so that the master has no holes."""
        paths = [path for path in self.folder.glob("*/*.parquet") if not path.name.startswith(".")]
        return sorted(paths, key=lambda path: path.stat().st_mtime_ns)

    def _logs(self) -> list[Path]:
        return sorted(self.folder.glob("logs/*.log"))

    def _upload(self, path: Path, data: bytes) -> None:
        name = str(path.relative_to(self.folder))
        total = zlib.crc32(data)
        offset = 0
        while True:
            piece = data[offset : offset + CHUNK_BYTES]
            last = offset + len(piece) >= len(data)
            self._answered.clear()
            self._send(
                CHUNK,
                {"slot": self._slot, "file": name, "offset": offset, "data": piece, "last": last, "sum": total},
            )
            if not self._answered.wait(ANSWER_S) or self._answer is None or self._answer[0] != name:
                continue
            offset = self._offset = self._answer[1]
            if offset < 0:
                self._stopping.set()
                raise _Refused
            if offset >= len(data) and last:
                path.unlink(missing_ok=True)
                self._offset = 0
                return


class _Refused(Exception):
    """The master cannot keep what we send."""
