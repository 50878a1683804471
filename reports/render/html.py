"""``report.html``: the whole run on one page that needs no network, no other file and no script of anybody else's."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bedrock.foreign_text import clean_all
from reports.gate.other_runs import other_runs_sentence
from reports.render.charts.interval_bar import interval_bar
from reports.render.page_charts import funnel, health_charts, swarm_charts
from reports.render.quality_view import quality_tables
from reports.render.stepped_load_view import stepped_load_view
from reports.render.terminal import CELL_MARKS, MARKS, SENTENCES, outlier_lines
from reports.result.summary import GridCell, RuleKind, Summary
from reports.run.cells import CellAttempts, CellResult
from reports.run.file_input import Unreadable, read_file
from reports.run.run_folder import RunFolder
from reports.run.store import RunStore
from reports.text import bounds, clock, counted, figure, grouped

TEMPLATES = Path(__file__).parent / "templates"
EMBEDDED_BYTES = 2_500_000
"""Screenshots of cells that did not pass go into the page up to this size in all; the others stay links."""
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
FACTS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class GridRow:
    """One device and its cells, by network."""

    title: str
    device_class: str
    emulated: bool
    cells: Mapping[str, Sequence[GridCell]]


@dataclass(frozen=True, slots=True)
class AttemptDetails:
    """One attempt at a cell, ready to be shown."""

    result: CellResult
    shaping: Sequence[tuple[str, str]]
    figures: Sequence[tuple[str, str]]
    files: Sequence[tuple[str, str]]
    """Name, address relative to the page."""
    picture: str
    """A data address, empty for none."""


@dataclass(frozen=True, slots=True)
class CellDetails:
    """A cell with all that its attempts left."""

    shown: GridCell
    anchor: str
    attempts: Sequence[AttemptDetails]


def render_html(store: RunStore, summary: Summary) -> str:
    """Returns the page. Needs the tables of call_view.py."""
    summary = clean_all(summary)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "figure": _unbroken(figure), "grouped": _unbroken(grouped), "clock": clock, "words": _words, "anchor": _anchor,
    }  # fmt: skip
    environment.globals |= {"bounds": bounds, "counted": _unbroken(counted)}
    staged = stepped_load_view(summary)
    page: str = environment.get_template("report.html").render(
        summary=summary,
        folder=store.folder,
        sentence=SENTENCES[summary.verdict],
        marks=MARKS,
        cell_marks={status: mark for status, (mark, _style) in CELL_MARKS.items()},
        slo_rules=summary.rules_of(RuleKind.SLO),
        checks=summary.rules_of(RuleKind.TRUST, RuleKind.EVIDENCE),
        intervals={rule.name: Markup(interval_bar(rule)) for rule in summary.rules_of(RuleKind.SLO)},
        staged=staged,
        staged_chart=Markup(staged.chart) if staged else "",
        charts=_marked(swarm_charts(store, summary)),
        health_charts=_marked(health_charts(store, summary)),
        funnel=funnel(store, summary),
        quality=quality_tables(summary),
        networks=sorted({(cell.generation, cell.network) for cell in summary.matrix.grid}),
        grid=_grid(summary.matrix.grid),
        details=_details(store, summary.matrix.grid),
        outliers=[*outlier_lines(summary.swarm), *outlier_lines(summary.matrix)],
        faults=store.folder.faults,
        neighbours=other_runs_sentence(store.folder.manifest),
        started_at_s=_started_at_s(store.folder),
        provenance=_provenance(store.folder, summary),
    )
    return page


def _marked(charts: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {"title": chart.title, "note": chart.note, "svg": Markup(chart.svg), "legend": chart.legend} for chart in charts
    ]


def _grid(grid: Sequence[GridCell]) -> list[GridRow]:
    rows: dict[str, GridRow] = {}
    for cell in grid:
        row = rows.setdefault(cell.device, GridRow(cell.device_title, cell.device_class, cell.emulated, {}))
        cells = dict(row.cells)
        cells[cell.network] = [*cells.get(cell.network, []), cell]
        rows[cell.device] = GridRow(row.title, row.device_class or cell.device_class, row.emulated, cells)
    return list(rows.values())


def _details(store: RunStore, grid: Sequence[GridCell]) -> list[CellDetails]:
    by_name: dict[str, CellAttempts] = {cell.attempts[0].cell: cell for cell in store.cells.cells}
    budget = _Budget(EMBEDDED_BYTES)
    order = {"failed": 0, "missing": 1, "environment_error": 2}
    details = []
    for shown in sorted(grid, key=lambda cell: order.get(cell.status, 3)):
        found = by_name.get(shown.cell)
        attempts = [_attempt(store.folder.path, result, budget) for result in found.attempts] if found else []
        details.append(CellDetails(shown, _anchor(shown.cell), attempts))
    return details


class _Budget:
    """How many bytes of pictures the page may still take in."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, path: Path) -> bytes:
        """Returns the file when it fits, nothing otherwise."""
        try:
            taken = read_file(path, self.left * 3 // 4)
        except (FileNotFoundError, Unreadable):
            return b""
        self.left -= len(taken) * 4 // 3
        return taken


def _attempt(run_folder: Path, result: CellResult, budget: _Budget) -> AttemptDetails:
    base = f"cells/{result.cell}/{result.attempt}"
    # A name that leads out of the attempt's own folder is none that an attempt has written.
    names = [name for name in result.artifacts if name == Path(name).name and name != ".."]
    files = [(name, quote(f"{base}/{name}")) for name in names]
    picture = ""
    if result.status != "passed":
        picture = next(filter(None, (_picture(run_folder / base / name, budget) for name in names)), "")
    return AttemptDetails(result, _flat(result.shaping), _flat(result.figures), files, picture)


def _picture(path: Path, budget: _Budget) -> str:
    kind = PICTURES.get(path.suffix.lower())
    taken = budget.take(path) if kind else b""
    return f"data:{kind};base64,{base64.b64encode(taken).decode()}" if taken else ""


def _flat(tables: Mapping[str, Any], under: str = "") -> list[tuple[str, str]]:
    """Nested figures as (dotted name, text), so that any evidence can be shown."""
    found: list[tuple[str, str]] = []
    for name, value in tables.items():
        key = f"{under}.{name}" if under else str(name)
        if isinstance(value, Mapping):
            found.extend(_flat(value, key))
        elif isinstance(value, list):
            found.append((key, ", ".join(str(item) for item in value) or "none"))
        elif isinstance(value, float):
            found.append((key, f"{value:.4g}" if abs(value) < 10_000 else grouped(value)))
        elif value is not None:
            found.append((key, str(value)))
    return found[:FACTS_SHOWN]


def _provenance(folder: RunFolder, summary: Summary) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    manifest = folder.manifest
    if manifest is None:
        return []
    started = _utc(manifest.started_at_s)
    run = {
        "run": folder.run_id, "started": started, "ended": _utc(manifest.ended_at_s), "plan": manifest.plan_name,
        "target": manifest.target, "SLO": manifest.slo.get("name"), "seeds": manifest.seeds, "git": manifest.git,
        "setup limit, s": summary.swarm.limits.get("setup_limit_s"),
        "gap limit, ms": summary.swarm.limits.get("gap_limit_ms"),
    }  # fmt: skip
    groups = [("Run", _flat(run)), ("Versions", _flat(manifest.versions))]
    groups.append(("Machine before", _flat(manifest.environment_before or {})))
    groups.append(("Machine after", _flat(manifest.environment_after or {})))
    return [(name, facts) for name, facts in groups if facts]


def _started_at_s(folder: RunFolder) -> float | None:
    return folder.manifest.started_at_s if folder.manifest else None


def _utc(at_s: float | None) -> str | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _unbroken(write: Callable[..., str]) -> Callable[..., str]:
    """Wraps a wording so that its parts stay on one line."""
    return lambda *arguments: write(*arguments).replace(" ", "\u00a0")


def _words(code: str) -> str:
    return code.replace("_", " ")


def _anchor(cell: str) -> str:
    return "cell-" + re.sub(r"[^A-Za-z0-9_-]", "-", cell)
