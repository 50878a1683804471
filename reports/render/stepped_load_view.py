"""Prepares a knee search or a rollout for the terminal and the page: one row a step, and the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.render.charts.throughput_chart import COLOURS, throughput_chart
from reports.result.stepped_load_result import Judgement, KneeResult, RolloutResult, StepResult, UslFit
from reports.result.summary import Summary
from reports.text import bounds, clock, figure, grouped


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step, ready to be shown."""

    name: str
    level: str
    verdict: str
    colour: str
    calls: str
    completed: str
    setups: str
    setups_bounds: str
    held: str
    reason: str


@dataclass(frozen=True, slots=True)
class SteppedLoadView:
    """One load."""

    title: str
    sentence: str
    rows: Sequence[StepRow]
    facts: Sequence[tuple[str, str]]
    ahead: Sequence[str] = ()
    """Stages that were never reached."""
    chart: str = ""


def stepped_load_view(summary: Summary) -> SteppedLoadView | None:
    """Returns what to show; None for a run whose load was not judged step by step."""
    if summary.knee is not None:
        return _knee(summary.knee)
    if summary.rollout is not None:
        return _rollout(summary.rollout)
    return None


def _knee(knee: KneeResult) -> SteppedLoadView:
    facts = [("Capacity, calls at once", _interval(knee.low_calls, knee.high_calls))]
    facts.append(("Capacity, set-ups a second", _interval(knee.low_setups_per_s, knee.high_setups_per_s)))
    facts.append(("How", knee.how))
    facts.append(("Scalability law", _law(knee.fit) if knee.fit is not None else f"not fitted: {knee.fit_problem}"))
    if knee.machines is not None:
        least, most = knee.machines.at_least, knee.machines.at_most
        text = f"{_count(least, most)} like this one; {knee.machines.assumption}"
        facts.append((f"Machines for {grouped(knee.machines.setups_per_s)} set-ups a second", text))
    return SteppedLoadView(
        "Knee", knee.sentence, [_row(step) for step in knee.steps], facts, chart=throughput_chart(knee)
    )


def _rollout(rollout: RolloutResult) -> SteppedLoadView:
    ahead = rollout.stages[len(rollout.steps) :]
    facts = [("Planned peak, calls at once", grouped(rollout.peak_calls))]
    if ahead:
        facts.append(("Never reached", ", ".join(ahead)))
    return SteppedLoadView("Rollout", rollout.sentence, [_row(step) for step in rollout.steps], facts, ahead)


def _row(step: StepResult) -> StepRow:
    judged = step.judgement
    return StepRow(
        name=step.name,
        level=grouped(step.concurrent_calls),
        verdict=judged.verdict,
        colour=COLOURS[judged.verdict],
        calls=grouped(judged.calls),
        completed=_completed(judged),
        setups=grouped(judged.setups_per_s),
        setups_bounds=bounds(judged.setups_per_s_low, judged.setups_per_s_high, ""),
        held=clock(judged.until_s - judged.from_s) + (f" ({step.looks} looks)" if step.looks > 1 else ""),
        reason=judged.reason,
    )


def _completed(judged: Judgement) -> str:
    spoke = judged.completed + judged.failed
    return figure(judged.completed / spoke, "ratio") if spoke else "no calls judged"


def _interval(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "unknown"
    if high is None:
        return f"at least {grouped(low or 0)}"
    return f"below {grouped(high)}" if low is None else f"{grouped(low)} to {grouped(high)}"


def _count(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f"{grouped(least)} to {grouped(most)}"
    if least is not None:
        return f"at least {grouped(least)}"
    return "an unknown number" if most is None else f"at most {grouped(most)}"


def _law(fit: UslFit) -> str:
    text = (
        f"sigma (contention) {_small(fit.sigma)}, 95 % {_small(fit.sigma_low)} to {_small(fit.sigma_high)}; "
        f"kappa (coherency) {_small(fit.kappa)}, 95 % {_small(fit.kappa_low)} to {_small(fit.kappa_high)}; "
        f"from {fit.steps} steps"
    )
    if fit.r_squared is not None:
        text += f", R² {fit.r_squared:.3f}"
    if fit.peak_concurrent is not None and fit.peak_setups_per_s is not None:
        peak_calls = grouped(round(fit.peak_concurrent))
        text += f"; peak {grouped(fit.peak_setups_per_s)} set-ups a second at {peak_calls} calls"
    return text


def _small(value: float) -> str:
    """A coefficient in two digits; what the least squares left of nothing is 0."""
    return "0" if abs(value) < 1e-9 else f"{value:.2g}"
