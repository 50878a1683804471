"""A run that is told to end, in whatever way and however often, ends once, in order."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_run import nothing_left, small_run
from waiting import HANG_LIMIT_S, eventually

from bedrock.exit_codes import ExitCode
from ringfence.orchestration.signals import handle_end_signals, ignore_end_signals, interrupt_once

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_second_sigterm_of_a_group_changes_nothing() -> None:
    signal.signal(signal.SIGTERM, interrupt_once)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


def test_nothing_breaks_off_the_end_of_a_run_and_afterwards_all_is_as_before() -> None:
    signal.signal(signal.SIGTERM, interrupt_once)
    signal.signal(signal.SIGHUP, interrupt_once)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with ignore_end_signals():
        for number in SIGNALS:
            signal.raise_signal(number)
    assert {number: signal.getsignal(number) for number in SIGNALS} == before
    for number, handler in before.items():
        signal.signal(number, handler)  # the first of them has the others ignored
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_a_closed_terminal_ends_a_run_as_sigterm_does() -> None:
    handle_end_signals()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGHUP)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.raise_signal(number)


def test_under_nohup_a_closed_terminal_ends_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handle_end_signals()
    signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.patient
@pytest.mark.integration
def test_a_run_whose_terminal_is_closed_drains_is_judged_and_ends_with_130(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    with small_run(tmp_path, peak_s=60, terminal=theirs) as run:
        os.close(theirs)
        run.wait_for_calls()
        os.close(ours)  # the kernel sends SIGHUP, and whatever is written from now on fails
        code = run.popen.wait(HANG_LIMIT_S)
    summary = json.loads((run.folder / "summary.json").read_text())
    assert code == ExitCode.INTERRUPTED
    assert json.loads((run.folder / "manifest.json").read_text())["interrupted"] is True
    assert not list(run.folder.glob("*/crash-*.txt"))
    assert summary["swarm"]["calls"] > 0
    assert nothing_left(run.folder)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        command = [sys.executable, "-m", "ringfence", "gate", str(run.folder)]
        judged = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, check=False)
    assert (judged.returncode, judged.stderr) == (summary["exit_code"], b"")


@pytest.mark.patient
@pytest.mark.integration
def test_a_run_under_nohup_goes_on_when_its_terminal_is_closed(tmp_path: Path) -> None:
    with small_run(tmp_path, peak_s=8, before=("nohup",)) as run:
        run.wait_for_calls()
        run.popen.send_signal(signal.SIGHUP)
        code, summary = run.ended()
    assert code == summary["exit_code"] != ExitCode.INTERRUPTED
    assert json.loads((run.folder / "manifest.json").read_text())["interrupted"] is False
    assert nothing_left(run.folder)


@pytest.mark.integration
@pytest.mark.parametrize("number", SIGNALS)
def test_serve_ends_in_order_with_130(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "ringfence", "serve", "--port", "0", "--database", str(tmp_path / "it.sqlite")]
    log = tmp_path / "said"
    with log.open("w") as said:
        popen = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            assert eventually(lambda: "Ctrl-C ends it" in log.read_text() or popen.poll() is not None)
            assert popen.poll() is None, log.read_text()
            popen.send_signal(number)
            assert popen.wait(HANG_LIMIT_S) == ExitCode.INTERRUPTED, log.read_text()
        finally:
            popen.kill()
            popen.wait()
    assert "Traceback" not in log.read_text()
    assert nothing_left(tmp_path)
    assert not (tmp_path / "it.sqlite-wal").exists(), "the service did not close its database: it was killed"
    database = sqlite3.connect(tmp_path / "it.sqlite")
    try:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    finally:
        database.close()
