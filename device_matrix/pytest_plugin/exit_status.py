"""What ``pytest device_matrix`` ends with. Pytest's own codes mean other things than ours, and overlap with them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bedrock import crash
from bedrock.exit_codes import ExitCode
from reports.run.cells import CellStatus

_MEANINGS = {
    pytest.ExitCode.OK: ExitCode.PASS,
    pytest.ExitCode.TESTS_FAILED: ExitCode.FAIL,
    pytest.ExitCode.INTERRUPTED: ExitCode.INTERRUPTED,
    pytest.ExitCode.INTERNAL_ERROR: ExitCode.CRASHED,
    pytest.ExitCode.USAGE_ERROR: ExitCode.USAGE,
    pytest.ExitCode.NO_TESTS_COLLECTED: ExitCode.USAGE,
}


@dataclass(slots=True, eq=False)
class SessionOutcomes:
    """What the tests of a session came to, beyond pytest's "some failed". A plugin, to hear of them."""

    failed: int = 0
    """Cells in which the product failed."""
    unjudged: int = 0
    """Cells that came to no judgement of the product: the environment failed in each attempt."""
    crashed: int = 0
    """Tests that ended by an exception of ours, outside of any attempt."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts one phase of one test."""
        if not report.failed:
            return
        status = dict(report.user_properties).get("status")
        if status == CellStatus.FAILED.value:
            self.failed += 1
        elif status is not None or str(report.when) == "???":  # xdist's word for a test whose worker died in it
            self.unjudged += 1
        else:
            self.crashed += 1
            crash.report_text("pytest device_matrix", str(report.longrepr))

    @property
    def meaning(self) -> ExitCode:
        """What "some tests failed" means."""
        if self.failed:
            return ExitCode.FAIL
        return ExitCode.CRASHED if self.crashed else ExitCode.INVALID if self.unjudged else ExitCode.FAIL


def our_exit_code(code: Any, outcomes: SessionOutcomes) -> int:
    """Returns our exit code for ``code``: one of pytest's, or one that we had it end with, which stays."""
    if not isinstance(code, pytest.ExitCode):
        return int(code)
    return int(outcomes.meaning if code is pytest.ExitCode.TESTS_FAILED else _MEANINGS[code])


def exit_usage_on_wrong_options(parser: pytest.Parser) -> None:
    """Has a wrong command line end with 2, as argparse itself does; pytest makes a 4 of it, our INVALID.

    No hook is called for it: pytest reads the command line before it has a session.
    """
    options: Any = getattr(parser, "optparser", None)
    if isinstance(options, argparse.ArgumentParser):
        refuse: Callable[[str], Any] = argparse.ArgumentParser.error.__get__(options)
        options.error = refuse  # type: ignore[method-assign, assignment]
