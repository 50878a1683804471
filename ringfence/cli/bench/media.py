"""``ringfence bench media``: measures how many calls one core of this machine carries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators
from rich.console import Console
from rich.table import Table

from bedrock.exit_codes import ExitCode
from calls.bench.capacity import Capacity, save_capacity
from calls.bench.machine import choose_core
from calls.bench.media import FULL_STEP_S, QUICK_STEP_S, ArmFigures, MediaBench, bench_media
from calls.bench.step import BenchStep, SetUps

_FIELD = 12


def media(
    *,
    json: bool = False,
    quick: bool = False,
    video: bool = True,
    picture: Path | None = None,
    core: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
    most: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=20_000))] = 5000,
) -> int:
    """Add two-way calls on one core until a packet is sent late or lost, also with stock aiortc, and show the ratio.

    One engine process is pinned to one core and holds both legs of every call: each packet is encrypted, sent over a
    UDP socket, received, decrypted, parsed and counted. A level breaks when send lateness p99 passes 5 ms, when a
    packet is lost by the generator, or when the core is full. Also: video calls, set-ups a second, memory a call.
    Takes about four minutes. The result is kept: `ringfence run` refuses plans that are too big for this machine.

    Parameters
    ----------
    json
        Print one JSON object; progress goes to stderr.
    quick
        Levels of 3 s instead of 10 s, resolution 5 % instead of 3 %: a rough result in about 100 s.
    video
        Whether to measure video calls too.
    picture
        Write the saturation curve to this .svg or .png file.
    core
        The core to measure on. Default: the last core.
    most
        The highest number of calls to try.
    """
    if picture is not None:
        from ringfence.cli.bench.curve import check_picture

        check_picture(picture)
    progress = Console(stderr=json, highlight=False)
    bench = _measure(progress, choose_core(core), quick=quick, video=video, most=most)
    kept = save_capacity(_capacity(bench))
    if picture is not None:
        from ringfence.cli.bench.curve import write_picture

        write_picture(bench, picture)
    if json:
        print(msgspec.json.format(msgspec.json.encode(bench), indent=1).decode())
    else:
        _show(progress, bench)
        progress.print(f"[dim]kept in {kept}[/]" + (f"[dim]; picture in {picture}[/]" if picture else ""))
    return ExitCode.PASS


def _measure(progress: Console, core: int, *, quick: bool, video: bool, most: int) -> MediaBench:
    step_s = QUICK_STEP_S if quick else FULL_STEP_S
    progress.print(f"[dim]core {core}, levels of {step_s:g} s{', quick: rough figures' if quick else ''}[/]")
    return bench_media(
        core=core, quick=quick, with_video=video, most=most, on_step=lambda step: _print_level(progress, step)
    )


def _capacity(bench: MediaBench) -> Capacity:
    return Capacity(
        machine=bench.machine.fingerprint,
        calls_per_core=bench.engine.calls_per_core,
        video_calls_per_core=bench.video.calls_per_core if bench.video else None,
        setups_per_s_core=bench.setup.calls_per_s_core,
        at_s=bench.at_s,
        quick=bench.quick,
    )


def _print_level(console: Console, done: BenchStep | SetUps) -> None:
    if isinstance(done, SetUps):
        console.print(
            f"{done.arm:7} set-ups    {done.calls_per_s_core:6.0f}/s a core, {done.cpu_ms:.1f} ms of CPU each"
        )
        return
    verdict = f"[red]✘ {done.broken_by()}[/]" if done.broken_by() else "[green]✔[/]"
    stolen = f", [yellow]{done.stolen_ratio:.0%} stolen by the host[/]" if done.stolen_ratio > 0.005 else ""
    console.print(
        f"{done.arm:7} {done.calls:5} {done.media} calls: {done.cpu_ratio:4.0%} of the core, "
        f"late p99 {done.send_late_p99_ms:6.2f} ms, lost {done.lost}{stolen}  {verdict}"
    )


def _show(console: Console, bench: MediaBench) -> None:
    from ringfence.cli.bench.curve import draw_curve

    for which in ("engine", "aiortc"):
        console.print(f"\n{which}: core in use over calls (x: broken)")
        print(draw_curve(bench.curve, which))
    console.print(_table(bench))
    for name, figures in (("engine", bench.engine), ("aiortc", bench.aiortc), ("video", bench.video)):
        if figures is not None and figures.broken_by:
            console.print(f"[dim]{name} broke at {figures.broken_at_calls} calls: {figures.broken_by}[/]")
    if not bench.driver_elsewhere:
        console.print("[yellow]this machine has one core: the driver shared it[/]")
    if not bench.compiled:
        console.print("[yellow]the packet path ran interpreted[/]: python -m calls.compiled makes it cheaper")
    setup = bench.setup
    console.print(
        f"set-ups: {setup.calls_per_s_core:.0f} calls/s a core with ICE and DTLS ({setup.cpu_ms:.2f} ms of CPU each, "
        f"p95 {setup.set_up_p95_ms:.0f} ms); stock aiortc {setup.aiortc_calls_per_s_core:.0f}/s"
    )


def _table(bench: MediaBench) -> Table:
    table = Table(title=f"One core of {bench.machine.processor}, {bench.machine.python}", title_justify="left")
    table.add_column("")
    for name in ("ringfence", "stock aiortc", "ratio", "ringfence video"):
        table.add_column(name, justify="right", min_width=_FIELD)
    rows: list[tuple[str, str, int]] = [
        ("calls a core", "calls_per_core", 0),
        ("CPU a call (ms each second)", "cpu_ms_per_call_second", 2),
        ("core in use at that level", "cpu_ratio", 2),
        ("packets/s sent and received", "packets_per_s", 0),
        ("send lateness p50 (ms)", "send_late_p50_ms", 2),
        ("send lateness p99 (ms)", "send_late_p99_ms", 2),
        ("packets lost", "lost", 0),
        ("memory a call (MB)", "rss_mb_per_call", 2),
        ("CPU to set up a call (ms)", "setup_cpu_ms", 2),
    ]
    ratios = {"calls_per_core": bench.ratio, "cpu_ms_per_call_second": bench.ratio_by_cpu}
    for title, name, digits in rows:
        ratio = ratios.get(name)
        cells = [_cell(figures, name, digits) for figures in (bench.engine, bench.aiortc, bench.video)]
        table.add_row(title, cells[0], cells[1], f"{ratio:.1f}" if ratio else "", cells[2])
    return table


def _cell(figures: ArmFigures | None, name: str, digits: int) -> str:
    value = getattr(figures, name, None)
    return f"{value:,.{digits}f}" if value is not None else ""
