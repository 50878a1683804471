"""``ringfence network``: the link profiles, what they give a call, proof that they are what they say."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bedrock.errors import InputError
from bedrock.exit_codes import ExitCode
from bedrock.toml_input import unknown_name
from network_profiles import NetworkProfile, load_catalogue
from network_profiles.evidence import Evidence
from network_profiles.execute import run_behind
from network_profiles.feasibility import describe
from network_profiles.profile import Direction
from network_profiles.verify import verify as verify_profiles

app = App(
    name="network", help="Link profiles: list, show, verify, or run a command behind one.", help_format="plaintext"
)


@app.command(name="list")
def list_profiles(*, json: bool = False) -> int:
    """List the link profiles.

    Parameters
    ----------
    json
        Print a JSON array instead of a table.
    """
    catalogue = load_catalogue()
    if json:
        print(json_format.dumps([profile.model_dump(mode="json") for profile in catalogue.values()], indent=1))
        return ExitCode.PASS
    table = Table("id", "title", "generation", "down", "up", "one way", "loss", box=None, header_style="dim")
    for profile in catalogue.values():
        table.add_row(
            profile.id, profile.title, profile.generation, _rate(profile.down), _rate(profile.up),
            f"{profile.down.owd_ms:g}/{profile.up.owd_ms:g} ms", f"{profile.down.loss_ratio:.1%}",
        )  # fmt: skip
    Console().print(table)
    return ExitCode.PASS


@app.command
def show(profile: str, *, json: bool = False) -> int:
    """Show what a link does, and what a voice call needs against what the link gives.

    Parameters
    ----------
    profile
        A link profile's id.
    json
        Print a JSON object instead of lines.
    """
    chosen = _profile(profile)
    voice = describe(chosen)
    if json:
        print(json_format.dumps({**chosen.model_dump(mode="json"), "feasibility": asdict(voice)}, indent=1))
        return ExitCode.PASS
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{chosen.id}[/]  {chosen.title} ({chosen.generation})")
    console.print(_directions_table(chosen))
    console.print(f"an empty link's round trip is {voice.rtt_ms:.0f} ms; no media before {voice.setup_floor_ms:.0f} ms")
    for fit in voice.fits:
        mark = "[green]fits[/]" if fit.both_ways else "[red]does not fit[/]"
        console.print(f"{fit.voice.title}: needs {fit.voice.wire_kbit:.0f} kbit/s on the wire each way, {mark}")
    console.print(f"[bold]{voice.sentence}[/]")
    for name, source in chosen.source.model_dump(exclude_none=True).items():
        if source:
            console.print(f"[dim]{name}: {source}[/]")
    return ExitCode.PASS


@app.command
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


@app.command
def exec(profile: str, *command: Annotated[str, Parameter(allow_leading_hyphen=True)], seed: int = 1) -> int:
    """Run a command behind a link: ringfence network exec edge_275g -- ping -c 3 far-end-address.

    The host side of the link is in RINGFENCE_FAR_END; the command's own exit code is passed on.

    Parameters
    ----------
    profile
        A link profile's id.
    command
        The command and its arguments, after --.
    seed
        Seed of the link's losses and jitter.
    """
    return run_behind(_profile(profile), list(command), seed)


def _profile(name: str) -> NetworkProfile:
    catalogue = load_catalogue()
    if name not in catalogue:
        raise InputError([unknown_name("network", "profile", "network profile", name, catalogue)])
    return catalogue[name]


def _rate(direction: Direction) -> str:
    return "unlimited" if direction.rate_kbit is None else f"{direction.rate_kbit:g} kbit/s"


def _directions_table(profile: NetworkProfile) -> Table:
    table = Table("", "rate", "one way", "jitter", "loss", "burst", "queue", box=None, header_style="dim")
    for side, direction in (("down", profile.down), ("up", profile.up)):
        table.add_row(
            side,
            _rate(direction),
            f"{direction.owd_ms:g} ms",
            f"{direction.jitter_ms:g} ms",
            f"{direction.loss_ratio:.2%}",
            f"{direction.loss_burst_packets:g} packets",
            f"{direction.queue_ms:g} ms",
        )
    return table


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
