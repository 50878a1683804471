"""Reading a JSON-lines file while another process writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def whole_lines(file: Path) -> list[dict[str, Any]]:
    """Returns the lines that are written to their end; the last one may still be on its way. No file, no lines."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
