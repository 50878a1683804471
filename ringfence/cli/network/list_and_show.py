"""``ringfence network list`` and ``show``: the link profiles, and what they give a call."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from bedrock.exit_codes import ExitCode
from network_profiles import NetworkProfile, load_catalogue
from network_profiles.feasibility import describe
from network_profiles.profile import Direction
from ringfence.cli.network.profile_argument import named_profile


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


def show(profile: str, *, json: bool = False) -> int:
    """Show what a link does, and what a voice call needs against what the link gives.

    Parameters
    ----------
    profile
        A link profile's id.
    json
        Print a JSON object instead of lines.
    """
    chosen = named_profile(profile)
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
