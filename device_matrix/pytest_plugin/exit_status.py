"""Translates pytest's exit codes into ours: the numbers overlap, and their meanings differ."""

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
    """Counts why the tests of a session failed. It is a plugin, so pytest reports every test to it."""

    failed: int = 0
    """Cells in which the product failed."""
    unjudged: int = 0
    """Cells without a verdict on the product: every attempt ended in an environment error."""
    crashed: int = 0
    """Tests that ended with an exception of ours, outside any attempt."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts the report of one phase of one test."""
        if not report.failed:
            return
        status = dict(report.user_properties).get("status")
        if status == CellStatus.FAILED.value:
            self.failed += 1
        elif status is not None or str(report.when) == "???":  # xdist's phase for a test whose worker died
            self.unjudged += 1
        else:
            self.crashed += 1
            crash.report_text("pytest device_matrix", str(report.longrepr))

    @property
    def exit_code(self) -> ExitCode:
        """Our exit code for pytest's "some tests failed"."""
        if self.failed:
            return ExitCode.FAIL
        return ExitCode.CRASHED if self.crashed else ExitCode.INVALID if self.unjudged else ExitCode.FAIL


def our_exit_code(code: Any, outcomes: SessionOutcomes) -> int:
    """Returns our exit code for ``code``: one of pytest's, or already one of ours."""
    if not isinstance(code, pytest.ExitCode):
        return int(code)
    return int(outcomes.exit_code if code is pytest.ExitCode.TESTS_FAILED else _MEANINGS[code])


def exit_usage_on_wrong_options(parser: pytest.Parser) -> None:
    """Makes a wrong command line end with 2, as argparse does. Pytest ends with 4, which is our INVALID.

    There is no hook for this: pytest reads the command line before it has a session.
    """
    options: Any = getattr(parser, "optparser", None)
    if isinstance(options, argparse.ArgumentParser):
        refuse: Callable[[str], Any] = argparse.ArgumentParser.error.__get__(options)
        options.error = refuse  # type: ignore[method-assign, assignment]
