"""``ringfence network``: the link profiles, what they give a call, proof that they are what they say."""

from __future__ import annotations

import json as json_format
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from bedrock.errors import InputError
from bedrock.exit_codes import ExitCode
from bedrock.toml_input import unknown_name
from network_profiles import NetworkProfile, load_catalogue
from network_profiles.execute import run_behind
from network_profiles.profile import Direction

app = App(name="network", help="Link profiles: list them, or run a command behind one.", help_format="plaintext")


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
