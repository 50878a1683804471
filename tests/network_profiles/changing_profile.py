"""A profile with every kind of change within seconds, for tests that compare each backend with the link model."""

from __future__ import annotations

from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.links.open_link import open_link
from network_profiles.links.shaped_link import BackendName
from network_profiles.model.profile import Direction, NetworkProfile, ProfilePhase
from network_profiles.verification.evidence import Evidence
from network_profiles.verification.proof import prove
from network_profiles.verification.remeasurement import measure_until_decided

BUDGET_S = 5.0
MOST_LOOKS = 6
FIGURES = {
    "owd_ms", "owd_p95_ms", "jitter_ms", "loss_ratio", "burst_packets", "goodput_kbit", "queue_ms",
    "outage_starts_s", "outage_ends_s", "reordered_packets", "changing_reordered_packets",
}  # fmt: skip


def changing_profile() -> NetworkProfile:
    """Loss in bursts, jitter, a queue, an outage, and another link after it."""
    down, up = (
        Direction(
            rate_kbit=rate_kbit, owd_ms=owd_ms, jitter_ms=10.0, loss_ratio=0.02, loss_burst_packets=2.0, queue_ms=200.0
        )
        for rate_kbit, owd_ms in ((2000.0, 60.0), (1000.0, 40.0))
    )
    slower = Direction(rate_kbit=600.0, owd_ms=120.0, jitter_ms=20.0, queue_ms=400.0)
    phases = (
        ProfilePhase(lasts_s=2.0),
        ProfilePhase(lasts_s=1.0, outage=True),
        ProfilePhase(lasts_s=2.0, down=slower, up=slower),
        ProfilePhase(lasts_s=3600.0),
    )
    return load_catalogue()["lte_good"].model_copy(update={"down": down, "up": up, "phases": phases})


def prove_changing(backend: BackendName) -> Evidence:
    """Proves one such link, and another with another seed when it missed.

    By chance one of some 30 figures with 99 % intervals may miss on a machine that is in time; none twice.
    """
    return measure_until_decided(
        lambda number: _prove(backend, seed=1 + number), on_time_misses=2, max_measurements=MOST_LOOKS
    )


def figure_names(evidence: Evidence) -> set[str]:
    """The names of the figures, without the segment that they are of."""
    return {figure.name.partition("@")[0] for figure in evidence.figures}


def _prove(backend: BackendName, seed: int) -> Evidence:
    profile = changing_profile()
    with open_link(profile, seed=seed, name="oracle", backend=backend) as link:
        return prove(link, profile, seed=seed, budget_s=BUDGET_S)
