"""Runs every part of the suite, whatever happens to the others, and says at the end what failed and where time went.

``make test`` runs it with no argument, ``make quick`` with ``quick``. The exit code is 0 when every part passed, 1 when
one failed, and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from junitparser import JUnitXml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

PROJECT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
SLOWEST = 10
PYTEST_INTERRUPTED = 2


@dataclass(frozen=True, slots=True)
class Part:
    """One command of the suite. A part that runs tests writes its results to a JUnit file."""

    name: str
    argv: tuple[str, ...]
    runs_tests: bool = False


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test: how long it took with its fixtures, and the words of its failure, if it failed."""

    name: str
    took_s: float
    outcome: str
    """``passed``, ``failed`` or ``skipped``."""
    message: str


@dataclass(frozen=True, slots=True)
class PartResult:
    """What one part came to."""

    part: Part
    took_s: float
    exit_code: int
    tests: tuple[TestResult, ...]


def tests_part(name: str, expression: str, processes: int) -> Part:
    """Returns the pytest run of the tests that ``expression`` selects."""
    argv = (str(BIN / "python"), "-m", "pytest", "-m", expression, "-n", str(processes), "--dist", "worksteal")
    return Part(name, argv, runs_tests=True)


def suite(which: str) -> list[Part]:
    """Returns the parts of the whole suite, or of the quick one.

    Tests that wait for whole runs share a core with another; those that measure links have one each.
    """
    cores = os.cpu_count() or 1
    checks = [
        Part("lint", (str(BIN / "ruff"), "check", ".")),
        Part("format", (str(BIN / "ruff"), "format", "--check", ".")),
        Part("words", (str(BIN / "python"), "tests/suite/words.py")),
        Part("structure", (str(BIN / "python"), "tests/suite/structure.py")),
        Part("types", (str(BIN / "mypy"),)),
    ]
    if which == "quick":
        return [*checks, tests_part("unit tests", "not integration and not patient", cores)]
    return [
        *checks,
        Part("contracts", (str(BIN / "lint-imports"),)),
        tests_part("tests of whole runs", "patient", 2 * cores),
        tests_part("all other tests", "not patient", cores),
    ]


def run_part(part: Part, console: Console, results: Path) -> PartResult:
    """Runs one part in the foreground, its output on ours."""
    console.print(f"[bold]ringfence:[/] {escape(part.name)}")
    report = results / f"{part.name.replace(' ', '-')}.xml"
    argv = [*part.argv, f"--junitxml={report}"] if part.runs_tests else part.argv
    started_s = time.monotonic()
    exit_code = subprocess.run(argv, cwd=PROJECT, check=False).returncode
    took_s = time.monotonic() - started_s
    return PartResult(part, took_s, exit_code, read_tests(report) if report.exists() else ())


def read_tests(report: Path) -> tuple[TestResult, ...]:
    """Reads the tests of a JUnit file."""
    found = []
    for suite_of_file in JUnitXml.fromfile(str(report)):
        for case in suite_of_file:
            outcome, message = "passed", ""
            for result in case.result:
                kind = type(result).__name__
                outcome = "skipped" if kind == "Skipped" else "failed"
                message = (result.message or "").splitlines()[0] if result.message else ""
            found.append(TestResult(f"{case.classname}::{case.name}", float(case.time or 0), outcome, message))
    return tuple(found)


def print_failures(results: Sequence[PartResult], console: Console) -> None:
    """Names every part and every test that failed, after all have run."""
    failed = [result for result in results if result.exit_code != 0]
    if not failed:
        return
    console.rule("[bold red]what failed", style="red")
    for result in failed:
        console.print(f"[red]{escape(result.part.name)}[/]: exit code {result.exit_code}")
        for test in result.tests:
            if test.outcome == "failed":
                console.print(f"  {escape(test.name)}\n    {escape(test.message[:200])}", highlight=False)


def print_times(results: Sequence[PartResult], setup_s: float | None, console: Console) -> None:
    """Prints the time of each part, the slowest tests, and last the plain line of counts that CI reads."""
    tests = [test for result in results for test in result.tests]
    slowest = Table(title=f"The {SLOWEST} slowest tests", title_justify="left")
    slowest.add_column("s", justify="right")
    slowest.add_column("test", overflow="fold")
    for test in sorted(tests, key=lambda test: -test.took_s)[:SLOWEST]:
        slowest.add_row(f"{test.took_s:.1f}", escape(test.name))
    times = Table(title="Where the time went", title_justify="left")
    times.add_column("part")
    times.add_column("s", justify="right")
    times.add_column("result")
    for name, took_s, result in [
        *([("set-up", setup_s, "done")] if setup_s is not None else []),
        *((one.part.name, one.took_s, "passed" if one.exit_code == 0 else "FAILED") for one in results),
        ("in all", (setup_s or 0) + sum(one.took_s for one in results), ""),
    ]:
        times.add_row(name, f"{took_s:.0f}", result)
    console.print(slowest)
    console.print(times)
    counts = {outcome: sum(test.outcome == outcome for test in tests) for outcome in ("passed", "failed", "skipped")}
    console.print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", highlight=False)


def main() -> int:
    """Runs the parts one after the other; returns the exit code of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="?", choices=("whole", "quick"), default="whole", help="which parts to run")
    parser.add_argument("--setup-s", type=float, help="how long the set-up before took, for the table of times")
    options = parser.parse_args()
    console = Console(soft_wrap=False)
    results: list[PartResult] = []
    interrupted = False
    with tempfile.TemporaryDirectory(prefix="ringfence-suite-") as folder:
        for part in suite(options.which):
            try:
                results.append(run_part(part, console, Path(folder)))
            except KeyboardInterrupt:
                interrupted = True
            if interrupted or (part.runs_tests and results[-1].exit_code == PYTEST_INTERRUPTED):
                interrupted = True
                break
    print_failures(results, console)
    print_times(results, options.setup_s, console)
    if interrupted:
        console.print("[red]interrupted[/]: the parts after this one did not run")
        return 130
    return 0 if all(result.exit_code == 0 for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
