"""``ringfence network exec``: any command behind a link."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from network_profiles.execute import run_behind
from network_profiles.shaped_link import BackendName
from ringfence.cli.network.profile_argument import named_profile


def exec_behind(
    profile: str,
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    seed: int = 1,
    backend: BackendName | None = None,
) -> int:
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
    backend
        What carries the link's packets; the best that this machine can run when left out.
    """
    return run_behind(named_profile(profile), list(command), seed, backend)
