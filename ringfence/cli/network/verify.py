"""``ringfence network verify``: measured proof that links are what their profiles say."""

from __future__ import annotations

import json as json_format

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bedrock.exit_codes import ExitCode
from network_profiles import load_catalogue
from network_profiles.evidence import Evidence
from network_profiles.verify import verify as verify_profiles


def verify(*profiles: str, budget_s: float = 3.0, json: bool = False) -> int:
    """Measure links with UDP both ways through a real namespace, and say whether each is what its profile says.

    Exits with 1 when a link is off.

    Parameters
    ----------
    profiles
        Profile ids; all of them when left out.
    budget_s
        Seconds of probing a link, where its rate allows.
    json
        Print a JSON array instead of a table.
    """
    console = Console(highlight=False)
    count = len(profiles) or len(load_catalogue())
    with Progress(console=console, transient=True, disable=json or not console.is_terminal) as progress:
        task = progress.add_task("measuring links", total=count)
        proofs = verify_profiles(profiles, budget_s, on_evidence=lambda _evidence: progress.advance(task))
    if json:
        print(json_format.dumps([proof.to_dict() for proof in proofs], indent=1))
    else:
        console.print(_proof_table(proofs))
    return ExitCode.PASS if all(proof.ok for proof in proofs) else ExitCode.FAIL


def _proof_table(proofs: list[Evidence]) -> Table:
    table = Table("link", "figure", "wanted", "got", "bounds", "packets", "", box=None, header_style="dim")
    for proof in proofs:
        for figure in proof.figures:
            table.add_row(
                proof.profile_id,
                Text(f"{figure.side} {figure.name}", no_wrap=True),
                f"{figure.wanted:.4g}",
                "-" if figure.got is None else f"{figure.got:.4g}",
                Text(f"{figure.low:.4g}..{figure.high:.4g}", no_wrap=True),
                str(figure.samples),
                "[green]ok[/]" if figure.ok else "[bold red]off[/]",
            )
    return table
