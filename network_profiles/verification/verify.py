"""Proves a list of profiles, each over a new link of its own, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from network_profiles.catalogue.catalogue import load_catalogue, resolve
from network_profiles.errors import LinkLost
from network_profiles.links.backends import choose_backend
from network_profiles.links.open_link import open_link
from network_profiles.links.shaped_link import ShapedLink
from network_profiles.model.plain_profile import plain_profile
from network_profiles.model.profile import NetworkProfile
from network_profiles.verification.evidence import Evidence
from network_profiles.verification.probe.probe_plan import ProbePlan
from network_profiles.verification.probe.thorough_plan import thorough_plan
from network_profiles.verification.probe.timeline_probe import merged_segments
from network_profiles.verification.proof import proof_duration_s, prove
from network_profiles.verification.remeasurement import measure_until_decided

DEFAULT_BUDGET_S = 60.0
MAX_PARALLEL_PROOFS = 10
_SEED = 1
_SEEDS_APART = 1000
"""Distance between the seeds of two measurements of one profile."""
_MAX_MEASUREMENTS = 5
_MISSES_TO_FAIL = 2
"""A link fails on its second miss: of 1000 figures with 99 % intervals some miss by chance, none twice."""
_MAX_SEEDS = 200
_MIN_SERVICE_FIRST_S, _MAX_END_SHARE = 2.0, 0.8
"""The outage that a proof must see starts after this time and ends within this share of the budget."""
_MAX_PACKETS_PER_S = 9000.0
"""Limit on the sum of the peak packet rates of all concurrent probes: two cores carry it without lateness."""


@dataclass(frozen=True, slots=True)
class VerifyListener:
    """Callbacks at the start and end of each proof; other threads call them."""

    on_start: Callable[[NetworkProfile, float], None] = lambda _profile, _lasts_s: None
    """Gets the profile and the estimated duration in seconds."""
    on_evidence: Callable[[Evidence], None] = lambda _evidence: None


def verify(
    profile_ids: Sequence[str],
    budget_s: float = DEFAULT_BUDGET_S,
    *,
    backend: str | None = None,
    listener: VerifyListener | None = None,
) -> list[Evidence]:
    """Returns the evidence for each profile in the order named, or for the whole catalogue when none is named.

    A link that misses a bound is measured once more, with another seed, before it fails. A miss while the machine was
    late is measured again, too. Raises InputError for unknown ids, LinkCannotBeBuilt, LinkLost.
    """
    profiles = resolve(profile_ids) if profile_ids else list(load_catalogue().values())
    choose_backend(backend)  # fails early; each profile may still get another backend
    listener = listener or VerifyListener()
    packet_rate = _PacketRateBudget(_MAX_PACKETS_PER_S)
    open_links = _OpenLinks()

    def measure_once(profile: NetworkProfile, seed: int) -> Evidence:
        with (
            open_link(profile, seed=seed, name=f"verify-{profile.id}", backend=backend) as link,
            open_links.holding(link),
        ):
            return prove(link, profile, seed=seed, budget_s=budget_s)

    def prove_one(profile: NetworkProfile) -> Evidence:
        with packet_rate.reserve(_peak_packets_s(profile)):
            first_seed = seed_with_outage(profile, _SEED, budget_s)
            listener.on_start(profile, proof_duration_s(profile, seed=first_seed, budget_s=budget_s))
            evidence = measure_until_decided(
                lambda number: measure_once(
                    profile, seed_with_outage(profile, _SEED + number * _SEEDS_APART, budget_s)
                ),
                on_time_misses=_MISSES_TO_FAIL,
                max_measurements=_MAX_MEASUREMENTS,
            )
        listener.on_evidence(evidence)
        return evidence

    # The longest first, so that none of them is alone at the end.
    order = sorted(profiles, key=lambda one: -proof_duration_s(one, seed=_SEED, budget_s=budget_s))
    with ThreadPoolExecutor(MAX_PARALLEL_PROOFS, thread_name_prefix="verify") as pool:
        running = {profile.id: pool.submit(prove_one, profile) for profile in order}
        try:
            return [running[profile.id].result() for profile in profiles]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            open_links.close()
            raise


def seed_with_outage(profile: NetworkProfile, first: int, budget_s: float) -> int:
    """Returns the first seed from ``first`` on that has a whole random outage within the budget."""
    if profile.outages is None:
        return first
    for seed in range(first, first + _MAX_SEEDS):
        outage = next(
            (one for one in merged_segments(plain_profile(profile), "down", seed, budget_s) if one.shape is None), None
        )
        if outage is not None and outage.starts_s > _MIN_SERVICE_FIRST_S and outage.ends_s < _MAX_END_SHARE * budget_s:
            return seed
    return first


def _peak_packets_s(profile: NetworkProfile) -> float:
    return sum(_peak(thorough_plan(direction, 1.0)) for direction in (profile.down, profile.up)) / 2.0


def _peak(plan: ProbePlan) -> float:
    """Returns the highest packet rate over 100 ms of the plan, in packets/s."""
    sends = plan.sends
    most = end = 0
    for start, send in enumerate(sends):
        while end < len(sends) and sends[end].at_s < send.at_s + 0.1:
            end += 1
        most = max(most, end - start)
    return most * 10.0


class _OpenLinks:
    """Holds every link under proof, so that an interrupt can end all proofs at once."""

    def __init__(self) -> None:
        self._links: list[ShapedLink] = []
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def holding(self, link: ShapedLink) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise LinkLost(f"the proof of link {link.device} was cancelled")
            self._links.append(link)
        try:
            yield
        finally:
            with self._lock:
                self._links.remove(link)

    def close(self) -> None:
        """Closes all links, and refuses new ones: their proofs end at once."""
        with self._lock:
            self._closed = True
            for link in self._links:
                link.close()


class _PacketRateBudget:
    """Limits the packet rate of concurrent proofs, first come, first served. A single proof always fits."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._taken = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, packets_per_s: float) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0.0 or self._taken + packets_per_s <= self._limit)
            self._taken += packets_per_s
        try:
            yield
        finally:
            with self._changed:
                self._taken -= packets_per_s
                self._changed.notify_all()
