"""The marks and sentences for verdicts, cells and outliers: the same on the terminal, the page and the comment."""

from __future__ import annotations

from reports.result.summary import MatrixFigures, SwarmFigures, Verdict
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
    Verdict.PASS: "every required rule holds",
    Verdict.FAIL: "the product broke a rule",
    Verdict.INCONCLUSIVE: "too little was tested to know",
    Verdict.INVALID: "the harness cannot vouch for its own figures",
}
CELL_MARKS = {
    "passed": ("●", "green"),
    "failed": ("✗", "bold red"),
    "environment_error": ("!", "magenta"),
    "skipped": ("-", "dim"),
    "missing": ("?", "magenta"),
}
RETRIES = 8


def outlier_lines(figures: SwarmFigures | MatrixFigures) -> list[str]:
    """One sentence for each group that stands out."""
    return [
        f"{group.by} {group.name} stands out: {group.failed} of {group.n} failed, elsewhere {group.others_failed} of "
        f"{group.others_n}"
        for group in figures.outliers
    ]


def retry_lines(matrix: MatrixFigures) -> list[str]:
    """One sentence for each cell that was judged in the end, after attempts that the environment spoiled."""
    lines = []
    for cell in matrix.grid:
        spoiled = [seen for seen in cell.attempts_seen if seen.status == CellStatus.ENVIRONMENT_ERROR]
        if spoiled and cell.status != CellStatus.ENVIRONMENT_ERROR:
            told = "; ".join(f"attempt {seen.attempt} [{seen.reason}] {seen.detail}".strip() for seen in spoiled)
            lines.append(f"{cell.cell} {cell.status} after {counted(len(spoiled), 'environment error')}: {told}")
    return lines[:RETRIES] + ([f"… and {len(lines) - RETRIES} more cells tried again"] if len(lines) > RETRIES else [])
