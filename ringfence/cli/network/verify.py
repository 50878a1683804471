"""``ringfence network verify``: measures links and compares them with their profiles."""

from __future__ import annotations

import sys
import threading
from typing import Annotated

from cyclopts import Parameter, validators
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import json_text
from network_profiles import NetworkProfile
from network_profiles.links.rootless import enter_if_needed
from network_profiles.links.shaped_link import BackendName
from network_profiles.verification.evidence import Evidence
from network_profiles.verification.verify import DEFAULT_BUDGET_S, VerifyListener
from network_profiles.verification.verify import verify as verify_profiles
from ringfence.cli.network.proof_table import print_proof, print_verdict

_PIPED_COLUMNS = 100


def verify(
    *profiles: str,
    budget_s: Annotated[float, Parameter(validator=validators.Number(gte=1, lte=3600))] = DEFAULT_BUDGET_S,
    backend: BackendName | None = None,
    json: bool = False,
) -> int:
    """Measure links with UDP both ways and compare every figure with the profile.

    Example: ringfence network verify gprs_2g lte_good

    Allowed: goodput within 3 %, median one-way delay within 1 ms or 2 %,
    loss in its 99 % interval, queue depth within 2 ms or 10 %, outage edges
    within 50 ms, packets in order. A link with more randomness gets more
    packets. Exits with 5 when a link does not match its profile: then calls
    over it cannot be trusted on this machine.

    Parameters
    ----------
    profiles
        Ids or paths of network profiles. Default: all built-in ones.
    budget_s
        Most seconds for a link's steady figures, and again for its changes with time. When this is too short for a slow
        link, its bounds are wider; the table shows them.
    backend
        Backend that carries the packets: userspace or netem. Default: the best one that this machine can run.
    json
        Print a JSON array instead of tables.
    """
    enter_if_needed(sys.orig_argv)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPED_COLUMNS)
    with _progress(quiet=json or not console.is_terminal, console=console) as progress:
        listener = _listener(progress, None if json else console)
        proofs = verify_profiles(profiles, budget_s, backend=backend, listener=listener)
    if json:
        print(json_text([proof.to_dict() for proof in proofs], indent=1))
    else:
        print_verdict(console, proofs)
    return ExitCode.PASS if all(proof.ok for proof in proofs) else ExitCode.ENVIRONMENT


class _SecondsColumn(ProgressColumn):
    """Shows how long a proof has run and about how long it takes."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.elapsed or 0.0:3.0f} of about {task.fields['lasts_s']:.0f} s", style="dim")


def _progress(*, quiet: bool, console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _SecondsColumn())
    return Progress(*columns, console=console, transient=True, disable=quiet)


def _listener(progress: Progress, console: Console | None) -> VerifyListener:
    """Shows the running proofs, and prints each finished one on ``console``."""
    tasks = {}
    one_at_a_time = threading.Lock()

    def started(profile: NetworkProfile, lasts_s: float) -> None:
        tasks[profile.id] = progress.add_task(profile.id, total=None, lasts_s=lasts_s)

    def proved(evidence: Evidence) -> None:
        progress.remove_task(tasks.pop(evidence.profile_id))
        if console is not None:
            with one_at_a_time:
                print_proof(console, evidence)

    return VerifyListener(on_start=started, on_evidence=proved)
