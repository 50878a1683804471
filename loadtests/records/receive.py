"""The master's end of ``shipping``: puts the files of remote workers into the run folder."""

from __future__ import annotations

import logging
import re
import secrets
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedrock.errors import EnvironmentLacks

logger = logging.getLogger(__name__)

REFUSED = -1
"""An offset that says: the master's disk takes nothing more, stop sending."""
MARK = ".disk-mark"
"""A worker that finds it in the run folder, with the spec's own text inside, has our disk and writes there itself."""
_ALLOWED = re.compile(r"[a-z_]{1,40}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.(parquet|log)")


def leave_mark(run_folder: Path) -> str:
    """Writes the mark and returns its text, which no other run's mark has. Raises EnvironmentLacks."""
    text = secrets.token_hex(16)
    try:
        (run_folder / MARK).write_text(text, encoding="ascii")
    except OSError as error:
        raise EnvironmentLacks(f"the run folder {run_folder} cannot be written: {error.strerror or error}") from None
    return text


def has_mark(run_folder: Path, text: str) -> bool:
    """Whether ``run_folder`` is the very folder in which ``text`` was left."""
    try:
        return (run_folder / MARK).read_text(encoding="ascii") == text
    except (OSError, UnicodeDecodeError):
        return False


@dataclass(slots=True)
class _Incoming:
    """A file of which some pieces are here."""

    size: int = 0
    sum: int = 0


class UploadReceiver:
    """Takes pieces of files into one run folder."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder
        self._incoming: dict[str, _Incoming] = {}
        self._whole: dict[str, int] = {}
        self.problem = ""
        """Why a file could not be kept, empty while all could."""

    @property
    def files(self) -> int:
        """How many files have come whole."""
        return len(self._whole)

    def take(self, piece: dict[str, Any]) -> dict[str, Any] | None:
        """Keeps one piece. Returns the answer for its worker, None for a piece that is refused."""
        name, offset, data = piece["file"], piece["offset"], piece["data"]
        if not _ALLOWED.fullmatch(name):
            logger.error("worker %s sends a file that has no place in a run folder: %r", piece["slot"], name[:200])
            return None
        if name in self._whole:
            return {"file": name, "offset": self._whole[name]}
        path = self._folder / name
        partial = path.with_name(f".{path.name}.part")
        known = self._incoming.setdefault(name, _Incoming())
        if offset == 0:
            known.size = known.sum = 0
        if offset == known.size:
            try:
                path.parent.mkdir(exist_ok=True)
                with partial.open("wb" if offset == 0 else "ab") as file:
                    file.write(data)
            except OSError as error:
                self.problem = f"{path} cannot be written: {error.strerror or error}"
                logger.error("%s", self.problem)
                return {"file": name, "offset": REFUSED}
            known.size += len(data)
            known.sum = zlib.crc32(data, known.sum)
            if piece["last"]:
                del self._incoming[name]
                if known.sum != piece["sum"]:
                    logger.warning("%s came damaged: asking for it again", name)
                    return {"file": name, "offset": 0}
                try:
                    partial.rename(path)
                except OSError as error:
                    self.problem = f"{path} cannot be written: {error.strerror or error}"
                    return {"file": name, "offset": REFUSED}
                self._whole[name] = known.size
        return {"file": name, "offset": known.size}
