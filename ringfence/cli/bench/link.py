"""``ringfence bench link``: measures what shaped links cost, and how exact they stay when there are more of them."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter, validators
from rich.console import Console
from rich.table import Table

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import json_text
from network_profiles.bench.link import PROFILE_ID, LinkBenchStep, bench, growth
from network_profiles.bench.traffic import (
    AUDIO_BYTES,
    AUDIO_PACKETS_PER_S,
    FRAME_PACKETS,
    FRAMES_PER_S,
    VIDEO_BYTES,
)

_BARS = "▁▂▃▄▅▆▇█"
_PIPED_COLUMNS = 100


def link(
    *,
    max: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=256))] = 64,
    seconds: Annotated[float, Parameter(validator=validators.Number(gte=1, lte=60))] = 4.0,
    backend: str | None = None,
    json: bool = False,
) -> int:
    """Open 1, 2, 4 … links at once, each with a video call's packets both ways: CPU, delay error, memory.

    A call is VP8 at 500 kbit/s (30 frames a second of 2 packets of 1092 bytes, sent at once as browsers do) and 50
    audio packets of 110 bytes, in each direction. CPU is that of the links' own processes, system time included.

    Parameters
    ----------
    max
        Most links at once.
    seconds
        How long each number of links is measured.
    backend
        userspace or netem. Default: the best that this machine can run.
    json
        Print one JSON object.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPED_COLUMNS)
    with console.status("opening links") as status:
        steps = bench(
            growth(max),
            seconds,
            backend=backend,
            on_step=lambda step: status.update(f"{step.links} links: {step.core_ratio:.1%} of a core"),
        )
    if json:
        print(json_text({"profile": PROFILE_ID, "traffic": _traffic(), "steps": [s.to_dict() for s in steps]}))
        return ExitCode.PASS
    console.print(_table(steps))
    console.print(f"CPU of a core    {_curve([step.core_ratio for step in steps])}  at {_counts(steps)} links")
    console.print(f"delay error p99  {_curve([step.delay_error_p99_ms for step in steps])}")
    console.print(f"[dim]each link: {_traffic()}, each way, over {PROFILE_ID} without its jitter[/]")
    return ExitCode.PASS


def _traffic() -> str:
    return (
        f"{FRAMES_PER_S * FRAME_PACKETS:g} video packets/s of {VIDEO_BYTES} bytes in {FRAMES_PER_S:g} frames "
        f"and {AUDIO_PACKETS_PER_S:g} audio packets/s of {AUDIO_BYTES} bytes"
    )


def _table(steps: list[LinkBenchStep]) -> Table:
    title = f"backend: {steps[0].backend}" + (", compiled" if steps[0].compiled else "")
    table = Table(
        box=None,
        header_style="dim",
        pad_edge=False,
        title=title,
        title_style="bold",
    )
    for column in (
        "links",
        "packets/s",
        "lost",
        "of a core",
        "CPU/packet",
        "error p50",
        "error p99",
        "late p99",
        "memory",
        "load",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for step in steps:
        table.add_row(
            str(step.links),
            f"{step.packets_per_s:.0f}",
            str(step.lost_packets),
            f"{step.core_ratio:.1%}",
            f"{step.cpu_us_per_packet:.0f} us",
            f"{step.delay_error_p50_ms:.2f} ms",
            f"{step.delay_error_p99_ms:.2f} ms",
            "" if step.late_p99_ms is None else f"{step.late_p99_ms:.2f} ms",
            f"{step.memory_mb_per_link:.1f} MB",
            f"{step.load_average:.1f}",
        )
    return table


def _curve(values: list[float]) -> str:
    """Draws the values as bars, the highest as high as a line."""
    top = sorted(values)[-1] or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))] for value in values)


def _counts(steps: list[LinkBenchStep]) -> str:
    return ", ".join(str(step.links) for step in steps)
