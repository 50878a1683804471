"""``ringfence network exec``: any command behind a link."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from bedrock.errors import EnvironmentLacks
from network_profiles.links.rootless import enter_if_needed
from network_profiles.links.run_command import run_behind
from network_profiles.links.shaped_link import BackendName, ShapedLink
from network_profiles.model.profile import NetworkProfile
from network_profiles.verification.proof import measure
from ringfence.cli.network.profile_argument import named_profile


def exec_behind(
    profile: str,
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    seed: int = 1,
    backend: BackendName | None = None,
    verify: bool = False,
) -> int:
    """Run a command behind a link: ringfence network exec edge_275g -- ping -c 3 '$RINGFENCE_FAR_END'.

    RINGFENCE_FAR_END is the address of the link's other end, which answers pings and any server that this machine has.
    The command has our terminal, and its own exit code is passed on (128 + signal when it was killed). Without root the
    whole lab is in a user namespace, and so is the far end: start a server for it in the command itself.

    Parameters
    ----------
    profile
        A link profile's id, or a profile's file.
    command
        The command and its arguments, after --.
    seed
        Seed of the link's losses and jitter.
    backend
        What carries the link's packets; the best that this machine can run when left out.
    verify
        Measure the link first, and exit with 5 instead when it is not what its profile says.
    """
    chosen = named_profile(profile)
    enter_if_needed(sys.orig_argv)
    if not verify:
        return run_behind(chosen, list(command), seed, backend)
    return run_behind(chosen, list(command), seed, backend, before=lambda link: _prove(link, chosen))


def _prove(link: ShapedLink, profile: NetworkProfile) -> None:
    with Console(stderr=True).status(f"measuring {profile.id}"):
        evidence = measure(link, profile)
    if not evidence.ok:
        raise EnvironmentLacks(
            f"the link is not {profile.id}: {'; '.join([*evidence.misses, *filter(None, [evidence.lateness])])}",
            hint="the command was not run",
        )
