"""``ringfence bench signaling``: measures how many calls without media one core sets up, compared with SIPp."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter, validators
from rich.console import Console
from rich.table import Table

from bedrock.exit_codes import ExitCode
from calls.bench.machine import choose_core
from calls.bench.signaling import SignalingBench, SignalingLevel, bench_signaling

_QUICK_S, _FULL_S = 2.0, 8.0
_QUICK_CALLS, _FULL_CALLS = 10_000, 60_000


def signaling(
    *,
    json: bool = False,
    quick: bool = False,
    core: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
) -> int:
    """Set up calls without media (invite, ring, answer, hang up) and count calls a second for each core.

    The engine runs on one core, the reference service on another. Pairs of users call each other without a pause.
    Afterwards SIPp calls SIPp on the same two cores, for comparison. SIPp is optional.

    Parameters
    ----------
    json
        Print one JSON object; progress goes to stderr.
    quick
        Levels of 2 s instead of 8 s: rough figures.
    core
        The core of the engine. Default: the last core.
    """
    progress = Console(stderr=json, highlight=False)
    bench = bench_signaling(
        core=choose_core(core),
        seconds=_QUICK_S if quick else _FULL_S,
        sipp_calls=_QUICK_CALLS if quick else _FULL_CALLS,
        on_level=lambda level: _print_level(progress, level),
    )
    if json:
        print(msgspec.json.format(msgspec.json.encode(bench), indent=1).decode())
    else:
        _show(progress, bench)
    return ExitCode.PASS


def _print_level(console: Console, level: SignalingLevel) -> None:
    verdict = f"[red]{level.failed} failed[/]" if level.failed else "[green]✔[/]"
    console.print(
        f"{level.at_once:3} at once: {level.calls_per_s:7.0f} calls/s, answered in p50 {level.set_up_p50_ms:.1f} ms, "
        f"p95 {level.set_up_p95_ms:.1f} ms; engine {level.engine_cpu_ratio:.0%}, "
        f"service {level.service_cpu_ratio:.0%} of a core  {verdict}"
    )


def _show(console: Console, bench: SignalingBench) -> None:
    best = max(bench.levels, key=lambda level: (not level.failed, level.calls_per_s))
    table = Table(title=f"Calls without media on {bench.machine.processor}", title_justify="left")
    table.add_column("")
    for column in ("CPU a call (ms)", "calls/s a core"):
        table.add_column(column, justify="right")
    costs = [("ringfence engine, both people", best.engine_cpu_ms), ("reference service", best.service_cpu_ms)]
    if bench.sipp is not None:
        costs.append(("SIPp caller, UDP without TLS", bench.sipp.caller_cpu_ms))
        costs.append(("SIPp callee", bench.sipp.callee_cpu_ms))
    for name, cpu_ms in costs:
        table.add_row(name, f"{cpu_ms:.3f}", f"{1000 / cpu_ms:,.0f}" if cpu_ms else "")
    console.print(table)
    console.print(
        f"together {bench.calls_per_s:,.0f} calls/s; the {bench.saturates_first} saturates first "
        f"(core {bench.core}: engine, core {bench.service_core}: service)"
    )
    if bench.sipp is None:
        console.print(f"[yellow]no SIPp to compare with[/]: {bench.sipp_lacks}")
    else:
        failed = f", [yellow]{bench.sipp.failed} failed[/]" if bench.sipp.failed else ""
        console.print(f"{bench.sipp_version}: {bench.sipp.calls:,} calls at {bench.sipp.calls_per_s:,.0f}/s{failed}")
    if bench.core == bench.service_core:
        console.print("[yellow]this machine has one core: the engine and the service shared it[/]")
