"""Describes other runs on the same machine, a likely cause of a late load generator, from the manifest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reports.run.manifest import Manifest

MOST = 3


def other_runs_sentence(manifest: Manifest | None) -> str:
    """Returns one sentence, or an empty text when no other run was recorded."""
    if manifest is None:
        return ""
    environment = manifest.environment_after or manifest.environment_before or {}
    known = environment.get("other_runs")
    runs = [run for run in known if isinstance(run, dict)] if isinstance(known, list) else []
    if not runs:
        return ""
    more = f" and {len(runs) - MOST} more" if len(runs) > MOST else ""
    return f"another ringfence run {', '.join(_one(run) for run in runs[:MOST])}{more}"


def _one(run: dict[str, Any]) -> str:
    folder = f", folder {str(run.get('folder'))[:200]}" if run.get("folder") else ""
    until = (
        f"to {_time(run['to_s'])} UTC"
        if isinstance(run.get("to_s"), int | float)
        else "until after the end of this run"
    )
    return f"(pid {run.get('pid')}{folder}) ran here from {_time(run.get('from_s'))} {until}"


def _time(at_s: object) -> str:
    try:
        return f"{datetime.fromtimestamp(float(str(at_s)), UTC):%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
