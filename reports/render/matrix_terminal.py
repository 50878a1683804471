"""Prints the section on the device matrix: the grid of cells, then the worst cells with their replay commands."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.render.terminal_layout import plain_table, section
from reports.render.verdict_words import CELL_MARKS, outlier_lines, retry_lines
from reports.result.summary import GridCell, MatrixFigures
from reports.text import counted

WORST_CELLS = 8


def print_matrix(matrix: MatrixFigures, console: Console) -> None:
    """Prints the grid and the worst cells; nothing for a run without a matrix."""
    if matrix.cells:
        console.print(_matrix(matrix))
        _print_worst_cells(matrix.grid, console)


def _matrix(matrix: MatrixFigures) -> RenderableType:
    message = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in matrix.by_status.items())
    heading = f"{counted(matrix.devices, 'device')}, {counted(matrix.networks, 'network')}, "
    heading += f"{counted(matrix.cells, 'cell')}: {message}"
    parts: list[RenderableType] = [Text(heading), "", _grid(matrix), "", _legend()]
    parts += [Text(line, style="yellow") for line in outlier_lines(matrix)]
    parts += [Text(line, style="magenta") for line in retry_lines(matrix)]
    return section("device matrix", *parts)


def _grid(matrix: MatrixFigures) -> Table:
    networks = sorted({(cell.generation, cell.network) for cell in matrix.grid})
    table = plain_table("device", *(network for _generation, network in networks))
    for column in table.columns[1:]:
        column.justify = "center"
    devices: dict[str, list[GridCell]] = {}
    for cell in matrix.grid:
        devices.setdefault(cell.device, []).append(cell)
    for cells in devices.values():
        label = " (emulated)" if cells[0].emulated else ""
        row: list[RenderableType] = [Text.assemble(cells[0].device_title, (label, "dim"))]
        for _generation, network in networks:
            row.append(Text(" ").join(_mark(cell) for cell in cells if cell.network == network))
        table.add_row(*row)
    return table


def _mark(cell: GridCell) -> Text:
    mark, style = CELL_MARKS[cell.status]
    return Text(mark + (f"x{cell.attempts}" if cell.attempts > 1 else ""), style=style)


def _legend() -> Text:
    parts = [
        Text(f"{mark} {status.replace('_', ' ')}", style=style)
        for status, (mark, style) in CELL_MARKS.items()
    ]  # fmt: skip
    return Text("   ").join([*parts, Text("x2: attempt 2", style="dim")])


def _print_worst_cells(grid: list[GridCell], console: Console) -> None:
    order = ("failed", "missing", "environment_error")
    worst = sorted((cell for cell in grid if cell.status in order), key=lambda cell: order.index(cell.status))
    for cell in worst[:WORST_CELLS]:
        mark, style = CELL_MARKS[cell.status]
        blame = f", blame {cell.blame}" if cell.blame else ""
        console.print(Text.assemble(" ", (f"{mark} {cell.cell}", style), f"  {cell.reason}{blame}"))
        if cell.detail:
            console.print(Padding(Text(cell.detail), (0, 0, 0, 3)))
        if cell.replay:
            # Never broken by us, so that it can be copied whole.
            console.print(Text(f"   $ {cell.replay}", style="cyan"), soft_wrap=True)
        console.print()
    if len(worst) > WORST_CELLS:
        console.print(Text(f" … and {len(worst) - WORST_CELLS} more, in report.html\n", style="dim"))
