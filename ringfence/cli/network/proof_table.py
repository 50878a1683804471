"""Prints proofs as tables: one line per figure, at most 100 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from network_profiles.verification.evidence import Evidence, Figure

LEGEND = (
    "expected: the link model's value for the same packets. Its delay includes a packet's time on the wire, and "
    "keeping packets in order reduces jitter. (..): exact 99 % interval."
)
ADVICE = (
    "Calls over these links cannot be trusted on this machine. Stop other programs and measure again; "
    "'ringfence doctor' shows what the machine lacks."
)
_HARNESS = ("reordered_packets", "harness_drops", "late_p99_ms")


def print_proof(console: Console, proof: Evidence) -> None:
    """Prints one link's figures under its name."""
    verdict = "[green]matches its profile[/]" if proof.ok else "[bold red]does not match its profile[/]"
    repeated = " (measured again)" if proof.first_misses else ""
    how = f"by {proof.backend}, {proof.duration_s:.0f} s{_harness_summary(proof)}"
    console.print(f"[bold]{proof.profile_id}[/] {verdict}{repeated} [dim]{how}[/]")
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1))
    table.add_column("  ", no_wrap=True)
    table.add_column("figure", no_wrap=True, min_width=22)
    for column in ("profile", "expected", "got", "bounds", "packets"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for figure in proof.figures:
        if not (figure.ok and figure.name.endswith(_HARNESS)):
            table.add_row(*_row(figure))
    console.print(table)
    for miss in proof.first_misses:
        console.print(f"  [dim]missed in an earlier measurement: {miss}[/]")
    if proof.lateness and not proof.ok:
        console.print(f"  [yellow]{proof.lateness}[/]")


def print_verdict(console: Console, proofs: Sequence[Evidence]) -> None:
    """Prints the last lines: how many links match their profile, and which do not."""
    off = [proof.profile_id for proof in proofs if not proof.ok]
    figures = sum(len(proof.figures) for proof in proofs)
    console.print(f"[dim]{LEGEND}[/]")
    console.print(f"{len(proofs) - len(off)} of {len(proofs)} links match their profile ({figures} figures)")
    if off:
        console.print(f"[bold red]no match:[/] {', '.join(off)}", soft_wrap=True)
        console.print(ADVICE)


def _harness_summary(proof: Evidence) -> str:
    """Returns the figures of the harness as one phrase while they are all within bounds."""
    harness = [figure for figure in proof.figures if figure.name.endswith(_HARNESS)]
    if not harness or not all(figure.ok for figure in harness):
        return ""
    late_ms = [figure.got or 0.0 for figure in harness if figure.name.endswith("late_p99_ms")]
    lateness = f", 99 % sent within {max(late_ms):.2f} ms of their time" if late_ms else ""
    return f", in order, none dropped by ringfence{lateness}"


def _row(figure: Figure) -> tuple[str | Text, ...]:
    share = figure.name.endswith("_ratio")

    def shown(value: float) -> str:
        return f"{100 * value:.3g}" if share else _number(value)

    return (
        f"  {figure.side}",
        figure.name.replace("_ratio", " %"),
        "" if figure.wanted == figure.expected else shown(figure.wanted),
        "" if figure.expected is None else shown(figure.expected),
        "too few" if figure.got is None else shown(figure.got) + _interval(figure),
        f"{shown(figure.low)}..{shown(figure.high)}",
        str(figure.samples),
        Text("ok", style="green") if figure.ok else Text("miss", style="bold red"),
    )


def _interval(figure: Figure) -> str:
    if figure.interval is None:
        return ""
    low, high = figure.interval
    return f" ({100 * low:.2g}..{100 * high:.2g})"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
