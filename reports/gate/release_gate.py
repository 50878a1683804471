"""Decides the verdict of a run from its rules and checks, with the reasons.

The first line that applies is the verdict:

1. ``FAIL``, when the supervisor saw the product itself break (a fault of severity ``fail``, e.g. the service died).
   That was observed, not measured, so a late load generator cannot put it in doubt.
2. ``INVALID``, when a trust check is broken. Figures that cannot be trusted can neither pass nor fail a product.
3. ``FAIL``, when a required SLO rule fails.
4. ``INVALID``, when an evidence check is broken: less was tested than planned, or only after many retries. The results
   of what was tested are true, so a failure stands (3 comes first), but they are not enough for a pass.
5. ``INCONCLUSIVE``, when a required SLO rule is inconclusive.
6. ``PASS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.gate.slo_rules import evaluate_rule
from reports.gate.stepped_load import add_stepped_load_rules
from reports.gate.validity import check_validity
from reports.result.summary import RuleKind, RuleResult, Verdict
from reports.run.faults import Fault
from reports.run.store import RunStore
from reports.slo.slo_file import SloFile


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The verdict, its reasons (most important first, empty for a pass), and every rule and check."""

    verdict: Verdict
    reasons: tuple[str, ...]
    rules: tuple[RuleResult, ...]


def decide(store: RunStore, slo: SloFile) -> GateDecision:
    """Returns the decision on a run. Needs the tables of call_view.py."""
    rules = [*(evaluate_rule(store, rule) for rule in slo.rule), *check_validity(store, slo.validity)]
    rules = add_stepped_load_rules(store.folder, rules)
    verdict, reasons = combine(rules, store.folder.faults)
    return GateDecision(verdict, tuple(reasons), tuple(rules))


def combine(rules: Sequence[RuleResult], faults: Sequence[Fault]) -> tuple[Verdict, list[str]]:
    """Returns the verdict and its reasons, in the order of this module's docstring."""
    groups: list[tuple[Verdict, list[str]]] = [
        (Verdict.FAIL, [f"the product broke: {fault.detail or fault.what}" for fault in faults if _is_fail(fault)]),
        (Verdict.INVALID, _reasons(rules, RuleKind.TRUST, Verdict.INVALID)),
        (Verdict.FAIL, _reasons(rules, RuleKind.SLO, Verdict.FAIL)),
        (Verdict.INVALID, _reasons(rules, RuleKind.EVIDENCE, Verdict.INVALID)),
        (Verdict.INCONCLUSIVE, _reasons(rules, RuleKind.SLO, Verdict.INCONCLUSIVE)),
    ]
    verdict = next((verdict for verdict, reasons in groups if reasons), Verdict.PASS)
    return verdict, [reason for _verdict, reasons in groups for reason in reasons]


def _is_fail(fault: Fault) -> bool:
    return fault.severity == "fail"


def _reasons(rules: Sequence[RuleResult], kind: RuleKind, verdict: Verdict) -> list[str]:
    return [
        rule.reason for rule in rules if rule.kind is kind and rule.verdict is verdict and rule.required
    ]  # fmt: skip
