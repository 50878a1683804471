"""``ringfence network exec``: runs any command behind a link."""

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
    """Run a command behind a link, as if this machine were on that network.

    Example: ringfence network exec edge_275g -- ping -c 3 '$RINGFENCE_FAR_END'

    RINGFENCE_FAR_END is the address of the link's other end: it answers pings,
    and every server of this machine is reachable there. The command uses this
    terminal, and its exit code is passed on (128 + signal when it was killed).
    Without root, the link and its far end are in a user namespace: then the
    command itself must start the server that it needs.

    Parameters
    ----------
    profile
        Id of a network profile, or the path of a profile's file.
    command
        The command and its arguments, after --.
    seed
        Random seed of the link's loss, jitter and outages.
    backend
        Backend that carries the link's packets. Default: the best one that this machine can run.
    verify
        Measure the link first. If it does not match its profile, exit with 5 and do not run the command.
    """
    chosen = named_profile(profile)
    enter_if_needed(sys.orig_argv)
    if not verify:
        return run_behind(chosen, list(command), seed, backend)
    return run_behind(chosen, list(command), seed, backend, before=lambda link: _prove(link, chosen))


def _prove(link: ShapedLink, profile: NetworkProfile) -> None:
    with Console(stderr=True).status(f"measuring link {profile.id}"):
        evidence = measure(link, profile)
    if not evidence.ok:
        reasons = [*evidence.misses, *filter(None, [evidence.lateness])]
        raise EnvironmentLacks(
            f"the link does not match its profile {profile.id}: {'; '.join(reasons)}",
            hint="the command was not run; try again when this machine has CPU to spare",
        )
