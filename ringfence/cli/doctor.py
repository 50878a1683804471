"""``ringfence doctor``: what this machine has, and how to get what is missing."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import clean, json_text
from calls.records.record import Tier
from ringfence.doctor.checks import run_checks, runnable_tiers
from ringfence.doctor.finding import Finding

NEEDED_TIERS = frozenset({Tier.PACKETS, Tier.MEDIA, Tier.BROWSER})
"""Of the smoke plan. The other tiers need emulators or phones, which are optional."""
_NAME_COLUMNS = 20


def doctor(*, json: bool = False) -> int:
    """Show what this machine has, which tiers it can run, and how to get what is missing.

    A tier is how real a call is: packets, media (decoded and scored), browser, emulator, device. Emulators and phones
    are optional. Exits with 5 when this machine cannot run the smoke plan (tiers packets, media, browser).

    Parameters
    ----------
    json
        Print a JSON object instead of a table.
    """
    findings = run_checks()
    tiers = runnable_tiers(findings)
    is_ready = set(tiers) >= NEEDED_TIERS
    if json:
        listed = [
            {
                "name": each.name,
                "ok": each.ok,
                "detail": each.detail,
                "fix": each.fix,
                "tiers": sorted(each.tiers),
                "optional": _is_optional(each),
            }
            for each in findings
        ]
        print(json_text({"tiers": tiers, "findings": listed}, indent=1))
    else:
        _print(findings, tiers, is_ready=is_ready)
    return ExitCode.PASS if is_ready else ExitCode.ENVIRONMENT


def _is_optional(finding: Finding) -> bool:
    """Whether the smoke plan runs without it."""
    return not finding.tiers & NEEDED_TIERS


def _print(findings: list[Finding], tiers: list[Tier], *, is_ready: bool) -> None:
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, min_width=_NAME_COLUMNS)
    table.add_column(overflow="fold")
    for each in findings:
        table.add_row(_mark(each), each.name, _detail(each))
    console.print(table)
    console.print("\n[green]✔[/] found   [red]✘[/] missing, needed by the smoke plan   [dim]·[/] missing, optional\n")
    for tier in Tier:
        optional = "" if tier in NEEDED_TIERS else " (optional)"
        console.print(f"tier {tier:9} " + ("[green]can run[/]" if tier in tiers else f"[dim]cannot run{optional}[/]"))
    if is_ready:
        console.print("\nThis machine is ready: ringfence run --plan smoke")
    else:
        console.print(
            "\nPrerequisites are missing. Run the commands after each [red]✘[/], then ringfence doctor again."
        )


def _mark(finding: Finding) -> str:
    if finding.ok:
        return "[green]✔[/]"
    return "[dim]·[/]" if _is_optional(finding) else "[red]✘[/]"


def _detail(finding: Finding) -> Text:
    detail = Text(clean(finding.detail))
    if finding.fix:
        detail.append(f"\n-> {clean(finding.fix)}", "bold")
    return detail
