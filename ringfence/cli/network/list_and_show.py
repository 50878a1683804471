"""``ringfence network list`` and ``show``: lists profiles and regional mixes, and draws one profile."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import clean, json_text
from network_profiles import NetworkProfile, RegionMix, load_catalogue, load_mixes
from network_profiles.catalogue.feasibility import FORMATS, Feasibility, assess_feasibility
from network_profiles.model.plain_profile import plain_profile
from network_profiles.model.schedule import Schedule, build_schedule
from ringfence.cli.network.drawing import changes, directions, kbit, needs, over_time, verdict_style
from ringfence.cli.network.profile_argument import named_profile

_CHOSEN = "*"
_COLUMNS = ("id", "gen", "rate", "one way", "loss", "changes")
_STYLES = ("bold", "", "", "", "", "yellow")
_GAP = 2
_LEAST_TITLE = 8


def list_profiles(*, json: bool = False) -> int:
    """List the network profiles and the regional mixes of them.

    Example: ringfence network list

    Parameters
    ----------
    json
        Print a JSON object instead of tables.
    """
    profiles, mixes = load_catalogue(), load_mixes()
    if json:
        listed = {
            "profiles": [profile.model_dump(mode="json") for profile in profiles.values()],
            "mixes": [_mix_as_json(mix) for mix in mixes.values()],
        }
        print(json_text(listed, indent=1))
        return ExitCode.PASS
    console = Console(highlight=False)
    console.print(_profiles_table(list(profiles.values()), console.width))
    console.print("[dim]down/up; rate in bit/s, one way in ms. Draw one: ringfence network show ID[/]\n")
    for mix in mixes.values():
        console.print(_mix_line(mix))
    console.print("[dim]regional mixes, share of people. List one: ringfence network show ID[/]")
    return ExitCode.PASS


def show(profile: str, *, seed: int = 1, json: bool = False) -> int:
    """Draw how a link changes with time, and say which call formats fit on it.

    Example: ringfence network show umts_driving

    Parameters
    ----------
    profile
        Id of a network profile or a regional mix, or the path of a profile's file.
    seed
        Random seed of outages and generated traces.
    json
        Print a JSON object instead of a drawing.
    """
    if profile in load_mixes():
        return _show_mix(load_mixes()[profile], json=json)
    chosen = named_profile(profile)
    numbers = plain_profile(chosen)
    feasibility = assess_feasibility(chosen, seed=seed)
    down, up = build_schedule(numbers, "down", seed=seed), build_schedule(numbers, "up", seed=seed)
    if json:
        over = {"seed": seed, "down": _schedule_as_json(down), "up": _schedule_as_json(up)}
        shown = {**chosen.model_dump(mode="json"), "feasibility": _feasibility_as_json(feasibility), "course": over}
        print(json_text(shown, indent=1))
        return ExitCode.PASS
    console = Console(highlight=False)
    console.print(Text.assemble((chosen.id, "bold"), f"  {clean(chosen.title)} ({chosen.generation})"))
    console.print(directions(chosen))
    if chosen.changes_with_time:
        console.print("")
        console.print(changes(chosen))
        console.print(over_time(down, up, console.width))
    console.print("")
    console.print(needs(feasibility))
    console.print(Text(feasibility.sentence, style=verdict_style(feasibility)))
    passing = feasibility.round_trips_ratio
    console.print(
        f"round trip of the empty link {feasibility.rtt_ms:.0f} ms; first media at the earliest "
        f"{feasibility.setup_floor_ms:.0f} ms after the answer (ICE and DTLS need three round trips)"
    )
    if passing < 1:
        console.print(f"{passing:.1%} of round trips survive random loss")
    console.print("")
    console.print(_sources(chosen))
    return ExitCode.PASS


def _show_mix(mix: RegionMix, *, json: bool) -> int:
    if json:
        print(json_text(_mix_as_json(mix), indent=1))
        return ExitCode.PASS
    console = Console(highlight=False)
    console.print(f"[bold]{mix.id}[/]  {mix.title}")
    table = Table("share", "id", "generation", "title", box=None, header_style="dim")
    catalogue = load_catalogue()
    for profile_id, share in sorted(mix.shares.items(), key=lambda pair: -pair[1]):
        profile = catalogue[profile_id]
        table.add_row(f"{share:.1%}", profile.id, profile.generation, profile.title)
    console.print(table)
    console.print(_by_generation(mix))
    console.print(f"[dim]source: {mix.source}{'; some weights are an engineering choice' if mix.synthetic else ''}[/]")
    return ExitCode.PASS


def _profiles_table(profiles: list[NetworkProfile], width: int) -> Table:
    rows = [
        (
            one.id,
            "sat" if one.generation == "satellite" else one.generation,
            f"{kbit(one.down.rate_kbit)}/{kbit(one.up.rate_kbit)}",
            f"{one.down.owd_ms:g}/{one.up.owd_ms:g}",
            f"{one.down.loss_ratio:.1%}" if one.down.loss_ratio else "",
            _kind_of_change(one),
        )
        for one in profiles
    ]
    table = Table(box=None, header_style="dim", pad_edge=False)
    left = width
    for name, style, column in zip(_COLUMNS, _STYLES, zip(*rows, strict=True), strict=True):
        widest = max(len(name), *(len(cell) for cell in column))
        table.add_column(name, style=style, no_wrap=True, width=widest)
        left -= widest + _GAP
    # On a narrow terminal only the title is cut, never an id.
    table.add_column("title", no_wrap=True, overflow="ellipsis", width=max(_LEAST_TITLE, left))
    for row, one in zip(rows, profiles, strict=True):
        table.add_row(*row, one.title)
    return table


def _kind_of_change(profile: NetworkProfile) -> str:
    if profile.has_trace:
        return "trace"
    if profile.outages is not None:
        return "outages"
    return ("cycle" if profile.repeat else "phases") if profile.phases else ""


def _mix_line(mix: RegionMix) -> Text:
    line = Text(f"{mix.id:<17}", style="bold", no_wrap=True, overflow="ellipsis")
    line.append(f"{mix.title}: ", style="not bold")
    line.append_text(_by_generation(mix))
    return line


def _by_generation(mix: RegionMix) -> Text:
    parts = [f"{generation} {share:.0%}" for generation, share in mix.generation_shares.items()]
    return Text(", ".join(parts), style="not bold")


def _sources(profile: NetworkProfile) -> Table:
    """The source of each number; a star marks an engineering choice."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="dim")
    for name, source in profile.source.model_dump().items():
        if source:
            table.add_row(f"{name}{_CHOSEN if name in profile.synthetic else ''}", Text(clean(source)))
    for one in FORMATS:
        table.add_row(one.name, one.source)
    if profile.synthetic:
        table.add_row(_CHOSEN, "an engineering choice, not a published or measured figure")
    return table


def _schedule_as_json(one: Schedule) -> list[dict[str, float | bool | None]]:
    return [
        {
            "starts_s": round(segment.starts_s, 4),
            "ends_s": round(segment.ends_s, 4),
            "outage": segment.shape is None,
            "rate_kbit": None if segment.shape is None else segment.shape.rate_kbit,
            "owd_ms": None if segment.shape is None else segment.shape.owd_ms,
            "loss_ratio": 1.0 if segment.shape is None else segment.shape.loss_ratio,
        }
        for segment in one.segments
    ]


def _feasibility_as_json(feasibility: Feasibility) -> dict[str, Any]:
    fits = [{**asdict(fit), "wire_kbit": fit.format.wire_kbit, "both_ways": fit.both_ways} for fit in feasibility.fits]
    return {**asdict(feasibility), "fits": fits, "sentence": feasibility.sentence}


def _mix_as_json(mix: RegionMix) -> dict[str, Any]:
    return {
        "id": mix.id,
        "title": mix.title,
        "source": mix.source,
        "synthetic": mix.synthetic,
        "shares": mix.shares,
        "generation_shares": mix.generation_shares,
    }
