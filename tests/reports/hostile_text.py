"""Text that attacks whoever shows it, in every text field of every record of a run folder, found by reflection."""

from __future__ import annotations

import enum
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from calls.records.record import (
    HealthRow,
    LegRecord,
    ListRow,
    MessageRow,
    Outcome,
    ProbeRow,
    SampleRow,
    Side,
    WindowRow,
)
from calls.records.segments import SegmentWriter
from reports.result.stepped_load_result import KneeResult
from reports.run.cells import CellResult, CellStatus, write_cell
from reports.run.faults import Fault
from reports.run.live import LiveWriter
from reports.run.manifest import Manifest

ATTACKS = (
    "<script>window.canary = 1</script>", "</script><script>window.canary = 1</script>",
    "<img src=x onerror='window.canary = 1'>", "\"><svg onload='window.canary = 1'>", "' onmouseover='window.canary=1",
    "</title></svg><script>window.canary = 1</script>", "javascript:window.canary=1",
    "]]><script>window.canary=1</script>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}", "</style><script>window.canary = 1</script>",
    "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\", "\x9b31m", "\x00\x07\x08\x7f\x85",
    "[red]not red[/red]", "[/]", "[link=http://evil.example]x[/link]", ":skull:", "\\[bold]", "ends in a backslash\\",
    "@everyone", "hello @octocat!", "#1", "fixes #2", "!3", "![x](http://evil.example/x.png)",
    "[x](http://evil.example)", "[x][y]\n\n[y]: http://evil.example", "<http://evil.example>", "http://evil.example",
    "www.evil.example", "me@evil.example", "a | b | c", "one\n\n# two\n\n- three", "```\ncode", "` @octocat `", "``",
    "\\`@octocat\\`", "a\\|b", "- [ ] task", "1. one", "+ two", "> quote", "***", "---", "=cmd|' /C calc'!A0",
    "&lt;b&gt;&#64;octocat", "~~gone~~", "$x$", "\ud800", "\u202egnp.exe", "\ufffe", "x" * 5000,
)  # fmt: skip

RECORDS: tuple[type[msgspec.Struct], ...] = (
    LegRecord, MessageRow, ListRow, SampleRow, HealthRow, WindowRow, ProbeRow, CellResult, Fault, Manifest, KneeResult,
)  # fmt: skip


def filled(kind: Any, text: str) -> Any:
    """Returns a value of type ``kind`` in which every text, at every depth, is ``text``."""
    plain: dict[Any, Any] = {str: text, Any: text, int: 1, float: 2.5, bool: True}
    if kind in plain:
        return plain[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return kind(**{name: filled(hints[name], text) for name in kind.__struct_fields__})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    arguments = typing.get_args(kind)
    made: dict[Any, Callable[[], Any]] = {
        Literal: lambda: arguments[0],
        list: lambda: [filled(arguments[0], text)],
        dict: lambda: {filled(arguments[0], text): filled(arguments[1], text)},
    }
    if typing.get_origin(kind) in made:
        return made[typing.get_origin(kind)]()
    return filled(next(each for each in arguments if each is not type(None)), text)  # X | None


def texts_of(value: Any) -> list[str]:
    """Every text in a value, at every depth."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [found for pair in value.items() for item in pair for found in texts_of(item)]
    if isinstance(value, list | tuple):
        return [found for item in value for found in texts_of(item)]
    return []


def write_hostile_run(run: Path, text: str) -> Path:
    """Writes a run through our own writers, in which each text of each record is ``text``."""
    start_s = 1_790_000_000.0
    times = {"intended_at_s": 1, "started_at_s": 1, "ringing_at_s": 2, "answered_at_s": 3, "ice_at_s": 4,
             "dtls_at_s": 5, "first_audio_at_s": 6, "ended_at_s": 20}  # fmt: skip
    legs = SegmentWriter(run / "calls", LegRecord, "swarm-0")
    for outcome in (Outcome.FAILED, Outcome.COMPLETED):
        for side in Side:
            leg = filled(LegRecord, text)
            moments = {name: start_s + after_s for name, after_s in times.items()}
            legs.append(msgspec.structs.replace(
                leg, source="swarm", side=side, outcome=outcome, call_id=f"{outcome}{text}", fell_back_at_s=None,
                routed_at_s=None, mos_lq=4.0, generation="2g", **moments,
            ))  # fmt: skip
    legs.flush()
    rows: tuple[tuple[str, type[msgspec.Struct]], ...] = (
        ("messages", MessageRow), ("lists", ListRow), ("samples", SampleRow), ("health", HealthRow),
        ("windows", WindowRow), ("probes", ProbeRow),
    )  # fmt: skip
    for folder, kind in rows:
        writer: SegmentWriter[Any] = SegmentWriter(run / folder, kind, "swarm-0")
        row = msgspec.structs.replace(filled(kind, text), at_s=start_s + 5)
        writer.append(msgspec.structs.replace(row, source="swarm") if hasattr(row, "source") else row)
        writer.flush()
    for number, status in enumerate(CellStatus):
        cell = msgspec.structs.replace(
            filled(CellResult, text), cell=f"cell-{number}", attempt=1, status=status, started_at_s=start_s
        )
        write_cell(run, cell)
    LiveWriter(run / "live" / "matrix.jsonl").emit(
        "plan", cells=[{"cell": text, "device": text, "network": text, "scenario": text, "driver": text}]
    )
    manifest = msgspec.structs.replace(
        filled(Manifest, text), slo={"name": "smoke"}, started_at_s=start_s, ended_at_s=start_s + 30,
        faults=[Fault(at_s=start_s + 7, what=text, detail=text, severity=how) for how in ("note", "invalid", text)],
    )  # fmt: skip
    write_json(run / "manifest.json", manifest)
    write_json(run / "knee.json", filled(KneeResult, text))
    return run


def write_json(path: Path, record: Any) -> None:
    """Writes a record as an attacker would, with nothing cleaned but what UTF-8 cannot hold."""
    plain = msgspec.to_builtins(record)
    path.write_bytes(msgspec.json.encode(_encodable(plain)))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value
