"""Refuses to start a plan whose prerequisites are missing, and says how to get each of them."""

from __future__ import annotations

from bedrock.errors import EnvironmentLacks
from calls.records.record import Tier
from device_matrix.network.link_choice import chosen_backend
from network_profiles.links import private_network
from ringfence.doctor.checks import run_checks
from ringfence.doctor.finding import Finding
from ringfence.run_plan import RunPlan


def require_prerequisites(plan: RunPlan, *, drivers: str = "") -> None:
    """Raises EnvironmentLacks when this machine cannot run a tier of the plan, or the links that it asks for.

    ``drivers`` is the choice of drivers on the command line; empty means the plan's own choice.
    """
    missing = missing_for(tiers_of(plan), run_checks())
    if plan.settings.matrix is not None and (drivers or plan.settings.matrix.drivers) != "playwright":
        missing += without_private_network()
    if not missing and plan.settings.matrix is not None:
        chosen_backend(plan.settings.matrix.backend)
    if not missing:
        return
    names = ", ".join(finding.name for finding in missing)
    lines = [f"{finding.name}: {finding.detail}  ->  {finding.fix}" for finding in missing]
    raise EnvironmentLacks(
        f"prerequisites of the plan '{plan.settings.name}' are missing (run `ringfence doctor`): {names}",
        hint="\n  ".join(lines),
    )


def tiers_of(plan: RunPlan) -> set[Tier]:
    """Returns the tiers of the plan's calls. The machine must be able to run each of them."""
    tiers: set[Tier] = set()
    if plan.settings.swarm is not None:
        tiers |= {Tier.PACKETS, Tier.MEDIA}
    if plan.settings.matrix is not None:
        tiers.add(Tier.BROWSER)
    return tiers


def without_private_network() -> list[Finding]:
    """Returns the finding that keeps cells with Appium from running, or an empty list."""
    refused = private_network.missing_prerequisite()
    if not refused:
        return []
    detail = f"other users of this machine could control Appium: {refused}"
    return [Finding("Appium's network", False, detail, "sudo, or --set 'matrix.drivers=\"playwright\"'")]


def missing_for(tiers: set[Tier], findings: list[Finding]) -> list[Finding]:
    """Returns the failed checks that any of ``tiers`` needs."""
    return [finding for finding in findings if not finding.ok and finding.tiers & tiers]
