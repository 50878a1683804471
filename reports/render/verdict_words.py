"""The marks and sentences for verdicts, cells and outliers: the same on the terminal, the page and the comment."""

from __future__ import annotations

from reports.gate.stepped_load import CHECKED_PER_STEP
from reports.result.summary import MatrixFigures, RuleKind, Summary, SwarmFigures, Verdict
from reports.run.cells import CellStatus
from reports.text import counted

STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.INVALID: "magenta",
}
MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.INCONCLUSIVE: "?", Verdict.INVALID: "!"}
SENTENCES = {
    Verdict.PASS: "every required rule is met",
    Verdict.FAIL: "the product misses a required rule",
    Verdict.INCONCLUSIVE: "too little was tested to decide",
    Verdict.INVALID: "this run can't be trusted: part of the test itself failed",
}
MACHINE_TOO_SLOW = "this run can't be trusted: the test machine couldn't keep up"
LESS_THAN_PLANNED = "this run can't be trusted: less was tested than planned"
MACHINE_CHECKS = CHECKED_PER_STEP - {"starts_dropped"} | {"engine_health_gap"}
"""Checks that a test machine without enough CPU time, descriptors or ports breaks."""
CELL_MARKS = {
    "passed": ("●", "green"),
    "failed": ("✗", "bold red"),
    "environment_error": ("!", "magenta"),
    "skipped": ("-", "dim"),
    "missing": ("?", "magenta"),
}
RETRIES = 8


def verdict_sentence(summary: Summary) -> str:
    """Returns the sentence behind the verdict. For INVALID it says which part of the test failed."""
    if summary.verdict is not Verdict.INVALID:
        return SENTENCES[summary.verdict]
    broken = [rule for rule in summary.rules if rule.verdict is Verdict.INVALID and rule.required]
    if any(rule.name in MACHINE_CHECKS for rule in broken):
        return MACHINE_TOO_SLOW
    if broken and all(rule.kind is RuleKind.EVIDENCE for rule in broken):
        return LESS_THAN_PLANNED
    return SENTENCES[Verdict.INVALID]


def outlier_lines(figures: SwarmFigures | MatrixFigures) -> list[str]:
    """Returns one sentence for each group that fails more often than the others."""
    return [
        f"{group.by} {group.name} fails more often than the others: {group.failed} of {group.n} failed, elsewhere "
        f"{group.others_failed} of {group.others_n}"
        for group in figures.outliers
    ]


def retry_lines(matrix: MatrixFigures) -> list[str]:
    """Returns one sentence for each cell that passed or failed after attempts with environment errors."""
    lines = []
    for cell in matrix.grid:
        spoiled_attempts = [seen for seen in cell.attempts_seen if seen.status == CellStatus.ENVIRONMENT_ERROR]
        if spoiled_attempts and cell.status != CellStatus.ENVIRONMENT_ERROR:
            message = "; ".join(
                f"attempt {seen.attempt} [{seen.reason}] {seen.detail}".strip() for seen in spoiled_attempts
            )
            lines.append(
                f"{cell.cell} {cell.status} after {counted(len(spoiled_attempts), 'environment error')}: {message}"
            )
    return lines[:RETRIES] + ([f"… and {len(lines) - RETRIES} more cells tried again"] if len(lines) > RETRIES else [])
