"""Proves profiles one by one, each over a fresh link of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from network_profiles.catalogue import load_catalogue, resolve
from network_profiles.evidence import Evidence
from network_profiles.lab import open_link
from network_profiles.profile import NetworkProfile
from network_profiles.proof import measure

AT_ONCE = 4


def verify(
    profile_ids: Sequence[str],
    budget_s: float = 3.0,
    *,
    seed: int = 1,
    on_evidence: Callable[[Evidence], None] = lambda _evidence: None,
) -> list[Evidence]:
    """Returns the evidence for each profile in the order named; for the whole catalogue when none is.

    ``on_evidence`` is called from another thread as each is done. Raises InputError for unknown ids, LinkCannotBeBuilt,
    LinkLost.
    """
    profiles = resolve(profile_ids) if profile_ids else list(load_catalogue().values())

    def prove(profile: NetworkProfile) -> Evidence:
        with open_link(profile, seed=seed, name=f"verify-{profile.id}") as link:
            evidence = measure(link, profile, budget_s=budget_s)
        on_evidence(evidence)
        return evidence

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="verify") as pool:
        return list(pool.map(prove, profiles))
