"""Writes ``report.html``: the whole run on one page that needs no network, no other file and no foreign script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bedrock.foreign_text import clean_all
from reports.gate.other_runs import other_runs_sentence
from reports.render.cell_details import anchor, cell_details, flat_facts
from reports.render.charts.interval_bar import interval_bar
from reports.render.page_charts import funnel, health_charts, swarm_charts
from reports.render.quality_view import quality_tables
from reports.render.stepped_load_view import stepped_load_view
from reports.render.verdict_words import CELL_MARKS, MARKS, outlier_lines, verdict_sentence
from reports.result.summary import GridCell, RuleKind, Summary
from reports.run.run_folder import RunFolder
from reports.run.store import RunStore
from reports.text import bounds, clock, counted, figure, grouped

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class GridRow:
    """One device and its cells, by network."""

    title: str
    device_class: str
    emulated: bool
    cells: Mapping[str, Sequence[GridCell]]


def render_html(store: RunStore, summary: Summary) -> str:
    """Returns the page. Needs the tables of call_view.py."""
    summary = clean_all(summary)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "figure": _unbroken(figure), "grouped": _unbroken(grouped), "clock": clock, "words": _words, "anchor": anchor,
    }  # fmt: skip
    environment.globals |= {"bounds": bounds, "counted": _unbroken(counted)}
    staged = stepped_load_view(summary)
    page: str = environment.get_template("report.html").render(
        summary=summary,
        folder=store.folder,
        sentence=verdict_sentence(summary),
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
        details=cell_details(store, summary.matrix.grid),
        outliers=[*outlier_lines(summary.swarm), *outlier_lines(summary.matrix)],
        faults=store.folder.faults,
        other_runs=other_runs_sentence(store.folder.manifest),
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
    groups = [("Run", flat_facts(run)), ("Versions", flat_facts(manifest.versions))]
    groups.append(("Machine before", flat_facts(manifest.environment_before or {})))
    groups.append(("Machine after", flat_facts(manifest.environment_after or {})))
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
