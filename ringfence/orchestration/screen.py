"""Shows the progress of a run: a live screen in a terminal, plain lines in a pipe or file."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bedrock.foreign_text import clean
from ringfence.orchestration.progress import CellProgress, Progress

PLAIN_LINE_EVERY_S = 10.0
MARKS = {
    "waiting": ("·", "dim"),
    "running": ("▶", "bold cyan"),
    "passed": ("✔", "green"),
    "failed": ("✘", "bold red"),
    "environment_error": ("!", "yellow"),
    "skipped": ("-", "dim"),
}


class Screen:
    """Draws progress. ``duration_s`` is the expected duration of the run."""

    def __init__(self, console: Console, title: str, duration_s: float) -> None:
        self.console = console
        self.title = title
        self.duration_s = duration_s
        self._live: Live | None = None
        self._last_plain_s = -PLAIN_LINE_EVERY_S
        self._last_said = ""

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, sentence: str) -> None:
        """Prints a step of the run."""
        self._last_said = sentence
        self.console.print(Text.assemble(("ringfence:", "dim"), f" {clean(sentence)}"))

    def warn(self, sentence: str) -> None:
        """Prints a problem of the run."""
        self.console.print(Text(f"ringfence: {clean(sentence)}", "bold yellow"))

    def draw(self, progress: Progress, elapsed_s: float) -> None:
        """Shows the state of the run: redraws the live screen, or prints a line every 10 s."""
        if self._live is not None:
            self._live.update(self._screen(progress, elapsed_s))
        elif elapsed_s - self._last_plain_s >= PLAIN_LINE_EVERY_S and (progress.second or progress.cells):
            self._last_plain_s = elapsed_s
            self.console.print(Text(self._plain_line(progress, elapsed_s)), soft_wrap=True)

    def _screen(self, progress: Progress, elapsed_s: float) -> RenderableType:
        parts: list[RenderableType] = [self._headline(elapsed_s)]
        if progress.second:
            parts.append(_swarm_panel(progress))
        if progress.cells:
            parts.append(_matrix_panel(progress))
        if len(parts) == 1:
            parts.append(Text(" creating users, starting engines", style="dim"))
        return Group(*parts)

    def _headline(self, elapsed_s: float) -> Text:
        left_s = max(0.0, self.duration_s - elapsed_s)
        return Text.assemble(
            (f" {self.title} ", "bold reverse"), f"  {_clock(elapsed_s)} elapsed, about {_clock(left_s)} left"
        )

    def _plain_line(self, progress: Progress, elapsed_s: float) -> str:
        second, cells = progress.second, progress.cells
        line = f"{_clock(elapsed_s)}"
        if second:
            counts = {
                key: _whole(second, key) for key in ("users", "calls_active", "probes_active", "completed", "failed")
            }
            line += (
                f"  swarm {second.get('stage')}: {counts['users']} people, {counts['calls_active']} calls"
                f" ({counts['probes_active']} probes), {counts['completed']} completed, {counts['failed']} failed"
            )
        if cells:
            done = len(cells) - progress.count("waiting") - progress.count("running")
            line += (
                f"  matrix {done}/{len(cells)}: {progress.count('passed')} passed, {progress.count('failed')} failed,"
                f" {progress.count('environment_error')} environment"
            )
        return line


def _swarm_panel(progress: Progress) -> Panel:
    second = progress.second
    table = Table.grid(padding=(0, 3))
    rows: list[tuple[str, Callable[[], str]]] = [
        ("people online", lambda: _whole(second, "users")),
        ("calls now / peak", lambda: f"{_whole(second, 'calls_active')} / {progress.peak_concurrent}"),
        ("probe calls now", lambda: _whole(second, "probes_active")),
        ("completed", lambda: _whole(second, "completed")),
        ("failed", lambda: _whole(second, "failed")),
        ("busy, declined, …", lambda: _whole(second, "other")),
        ("starts dropped", lambda: _whole(second, "starts_dropped")),
        ("set-up p95", lambda: _ms(second, "setup_p95_ms")),
        ("one-way delay p95", lambda: _ms(second, "owd_p95_ms")),
        ("MOS median / worst 5 %", lambda: f"{_mos(second, 'mos_p50')} / {_mos(second, 'mos_p5')}"),
        ("send lateness p99", lambda: _ms(second, "send_late_p99_ms")),
        ("engine CPU", lambda: f"{float(second.get('engine_cpu') or 0):.0%} of a core"),
    ]
    half = (len(rows) + 1) // 2
    for left, right in zip(rows[:half], rows[half:], strict=False):
        table.add_row(f"[dim]{left[0]}[/]", left[1](), f"[dim]{right[0]}[/]", right[1]())
    title = Text(f"swarm: {second.get('stage', '')}")
    return Panel(table, title=title, title_align="left", border_style="cyan", expand=False)


def _matrix_panel(progress: Progress) -> Panel:
    columns = sorted({(cell.network, cell.scenario) for cell in progress.cells.values()})
    devices: dict[str, dict[tuple[str, str], CellProgress]] = {}
    for cell in progress.cells.values():
        devices.setdefault(cell.device, {})[cell.network, cell.scenario] = cell
    table = Table.grid(padding=(0, 2))
    table.add_row(
        "",
        *[
            Text(f"{network} {scenario}", style="dim", overflow="ellipsis", no_wrap=True)
            for network, scenario in columns
        ],
    )
    for device, row in devices.items():
        marks = [Text(*MARKS[row[column].status]) if column in row else Text("") for column in columns]
        table.add_row(Text(device, no_wrap=True), *marks)
    counts = "  ".join(f"{MARKS[status][0]} {progress.count(status)} {status.replace('_', ' ')}" for status in MARKS)
    return Panel(
        Group(table, Text(counts, style="dim")), title="device matrix", title_align="left", border_style="magenta"
    )


def _whole(second: dict[str, object], key: str) -> str:
    value = second.get(key)
    return f"{value:.0f}" if isinstance(value, int | float) else "-"


def _ms(second: dict[str, object], key: str) -> str:
    value = second.get(key)
    return f"{value:.0f} ms" if isinstance(value, int | float) else "-"


def _mos(second: dict[str, object], key: str) -> str:
    value = second.get(key)
    return f"{value:.1f}" if isinstance(value, int | float) else "-"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
