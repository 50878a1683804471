"""``ringfence doctor``: what this machine has, and the command for each missing piece."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import clean, json_text
from calls.records.record import Tier
from ringfence.doctor.checks import run_checks, runnable_tiers

NEEDED_TIERS = frozenset({Tier.PACKETS, Tier.MEDIA, Tier.BROWSER})
"""Of the smoke plan. The others take emulators or phones, which few machines have."""


def doctor(*, json: bool = False) -> int:
    """Tell what this machine has, which tiers it can run, and how to get each missing piece.

    Exits with 5 when even the smoke plan (tiers packets, media, browser) cannot run.

    Parameters
    ----------
    json
        Print a JSON object instead of a table.
    """
    findings = run_checks()
    tiers = runnable_tiers(findings)
    code = ExitCode.PASS if set(tiers) >= NEEDED_TIERS else ExitCode.ENVIRONMENT
    if json:
        listed = [
            {"name": each.name, "ok": each.ok, "detail": each.detail, "fix": each.fix, "tiers": sorted(each.tiers)}
            for each in findings
        ]
        print(json_text({"tiers": tiers, "findings": listed}, indent=1))
        return code
    table = Table(box=None, show_header=False, padding=(0, 2))
    for each in findings:
        # Emulators and phones are extras: to be without them is no fault of the machine.
        needed = bool(each.tiers & NEEDED_TIERS)
        mark = "[green]✔[/]" if each.ok else ("[red]✘[/]" if needed else "[dim]·[/]")
        table.add_row(mark, each.name, Text(clean(each.detail)), Text(clean(each.fix), "bold"))
    console = Console(highlight=False)
    console.print(table)
    for tier in Tier:
        console.print(f"  tier {tier:9} " + ("[green]can run[/]" if tier in tiers else "[dim]cannot run here[/]"))
    return code
