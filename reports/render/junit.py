"""Writes ``junit.xml``: one suite for the cells of the matrix with their attempts, and one for the rules of the gate.

The file follows the strictest schema, that of the xUnit plugin for Jenkins. A test case has no properties, the root has
no count of skipped cases, and a time is a plain number. Other facts about a cell are lines in its ``system-out``.
"""

from __future__ import annotations

from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from bedrock.foreign_text import clean_all
from reports.aggregate.figures import MISSING
from reports.result.summary import GridCell, RuleResult, Summary, Verdict
from reports.run.cells import CellStatus


def junit_xml(summary: Summary, run_id: str) -> str:
    """Returns the document. A failed cell or rule is a failure. Without a result, it is an error."""
    summary, run_id = clean_all((summary, run_id))
    document: Any = JUnitXml(name=f"ringfence {run_id}")
    if summary.matrix.grid:
        document.add_testsuite(_suite("device matrix", run_id, [_cell(cell) for cell in summary.matrix.grid]))
    document.add_testsuite(_suite("release gate", run_id, [_rule(rule) for rule in summary.rules]))
    document.update_statistics()
    document._elem.attrib.pop("skipped", None)
    for element in document._elem.iter():
        if "time" in element.attrib:
            element.set("time", f"{max(0.0, float(element.get('time'))):.3f}")
    text: bytes = document.tostring()
    return text.decode("utf-8")


def _suite(name: str, run_id: str, cases: list[TestCase]) -> TestSuite:
    suite = TestSuite(name)
    suite.add_property("run_id", run_id)
    suite.add_testcases(cases)
    return suite


def _cell(cell: GridCell) -> TestCase:
    case = TestCase(f"{cell.network}/{cell.scenario}", f"device_matrix.{cell.device}", cell.duration_s)
    message = f"{cell.reason}: {cell.detail}" if cell.detail else cell.reason
    evidence = "\n".join(line for line in (message, f"blame: {cell.blame}", f"replay: {cell.replay}") if line)
    if cell.status == CellStatus.FAILED:
        case.result = [_with_text(Failure(message, cell.reason), evidence)]
    elif cell.status in {CellStatus.ENVIRONMENT_ERROR, MISSING}:
        case.result = [_with_text(Error(message, cell.reason), evidence)]
    elif cell.status == CellStatus.SKIPPED:
        case.result = [Skipped(message)]
    case.system_out = "\n".join(f"{name}: {value}" for name, value in _known_of(cell))
    return case


def _known_of(cell: GridCell) -> list[tuple[str, str]]:
    found = [("tier", cell.tier), ("driver", cell.driver), ("device_class", cell.device_class), ("replay", cell.replay)]
    return [(name, value) for name, value in [*_attempts(cell), *found] if value]


def _attempts(cell: GridCell) -> list[tuple[str, str]]:
    return [
        (f"attempt.{seen.attempt}", " ".join(filter(None, (seen.status, seen.reason, seen.detail))))
        for seen in cell.attempts_seen
    ]


def _rule(rule: RuleResult) -> TestCase:
    case = TestCase(rule.name, f"gate.{rule.kind}")
    message = rule.reason or rule.verdict
    if rule.verdict is Verdict.PASS:
        return case
    if not rule.required:
        case.result = [Skipped(f"advisory: {message}")]
    elif rule.verdict is Verdict.FAIL:
        case.result = [_with_text(Failure(message, rule.metric), "\n".join([message, *rule.examples]))]
    else:
        case.result = [Error(message, rule.verdict.lower())]
    return case


def _with_text(result: Failure | Error, text: str) -> Failure | Error:
    result.text = text
    return result
