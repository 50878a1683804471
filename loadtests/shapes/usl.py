"""Fits the Universal Scalability Law to the steps of a knee search.

``N`` is the load that was offered, as calls that would be in progress if none failed; ``X`` the set-ups a second that
were completed. (Not the calls that *were* in progress: by Little's law their number is ``X`` times the length of a
call, whatever happens, and a straight line fits always.)

Every step weighs by its counting error, ``sqrt(completed) / window``. Where the steps scatter more than that, the
errors are scaled up by the root of the reduced chi-square (Particle Data Group, "Review of Particle Physics", 5.2.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.result.stepped_load_result import UslFit

PARAMETERS = 3
LEAST_STEPS = PARAMETERS + 1
SPREAD = 1.5
"""The highest level must be at least so many times the lowest: a law of scaling needs scale."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step."""

    offered_calls: float
    setups_per_s: float
    error_per_s: float


class NoFit(Exception):
    """The steps cannot carry a fit; the text says why."""


def throughput(offered: float, gamma: float, sigma: float, kappa: float) -> float:
    """Returns the set-ups a second that the law gives for ``offered`` calls."""
    return gamma * offered / (1 + sigma * (offered - 1) + kappa * offered * (offered - 1))


def fit_usl(points: Sequence[Point]) -> UslFit:
    """Returns the law through ``points``. Raises NoFit."""
    import numpy as np
    from scipy import optimize, special

    levels = sorted({point.offered_calls for point in points})
    if len(levels) < LEAST_STEPS:
        raise NoFit(f"a law of {PARAMETERS} parameters needs at least {LEAST_STEPS} levels, not {len(levels)}")
    if levels[-1] < SPREAD * levels[0]:
        raise NoFit(f"the levels lie too close: the highest is less than {SPREAD:g} times the lowest")
    offered = np.array([point.offered_calls for point in points])
    seen = np.array([point.setups_per_s for point in points])
    errors = np.array([max(point.error_per_s, 1e-9) for point in points])
    start = (max(seen[0] / offered[0], 1e-6), 0.01, 1e-5)
    try:
        found, covariance = optimize.curve_fit(
            throughput, offered, seen, p0=start, sigma=errors, absolute_sigma=True,
            bounds=((1e-9, 0.0, 0.0), (np.inf, 1.0, 1.0)), x_scale=(1.0, 0.01, 1e-4), max_nfev=5000,
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise NoFit(f"the least squares found no law: {error}") from None
    gamma, sigma, kappa = (float(value) for value in found)
    residuals = seen - np.array([throughput(point.offered_calls, gamma, sigma, kappa) for point in points])
    freedom = len(points) - PARAMETERS
    scale = math.sqrt(max(1.0, float(np.sum((residuals / errors) ** 2)) / freedom))
    reach = float(special.stdtrit(freedom, 0.975)) * scale
    deviations = [math.sqrt(max(0.0, float(value))) * reach for value in np.diag(covariance)]
    if not all(math.isfinite(value) for value in deviations):
        raise NoFit("the steps do not tell the law's parameters apart")
    spread = float(np.sum((seen - seen.mean()) ** 2))
    peak = math.sqrt((1 - sigma) / kappa) if kappa > 0 else None
    in_reach = peak is not None and peak <= 100 * levels[-1]
    return UslFit(
        steps=len(points),
        gamma=gamma,
        sigma=sigma,
        sigma_low=max(0.0, sigma - deviations[1]),
        sigma_high=min(1.0, sigma + deviations[1]),
        kappa=kappa,
        kappa_low=max(0.0, kappa - deviations[2]),
        kappa_high=min(1.0, kappa + deviations[2]),
        peak_concurrent=peak if in_reach else None,
        peak_setups_per_s=throughput(peak, gamma, sigma, kappa) if in_reach and peak is not None else None,
        r_squared=1 - float(np.sum(residuals**2)) / spread if spread > 0 else None,
    )
