"""A crash of ours is planted in every command and process: exit code 70, one sentence, a file, never a verdict."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_run import nothing_left, small_run

from bedrock import crash
from bedrock.errors import ChildCrashed, EnvironmentLacks
from bedrock.exit_codes import ExitCode
from ringfence.__main__ import run_command

PROJECT = Path(__file__).parents[2]
PLANTED = "planted by a test"
COMMANDS = {
    "run": ("ringfence.cli.run.load_plan", ["run"]),
    "swarm": ("ringfence.cli.run.load_plan", ["swarm"]),
    "matrix": ("ringfence.cli.run.load_plan", ["matrix"]),
    "serve": ("ringfence.cli.serve.open_target", ["serve", "--database", "DATABASE"]),
    "gate": ("ringfence.cli.verdict.find_run", ["gate", "x"]),
    "report": ("ringfence.cli.verdict.find_run", ["report", "x"]),
    "compare": ("ringfence.cli.past_runs._summary", ["compare", "x", "y"]),
    "history": ("ringfence.cli.past_runs._row", ["history", "--runs", "FOLDER"]),
    "network list": ("ringfence.cli.network.list_and_show.load_catalogue", ["network", "list"]),
    "network show": ("ringfence.cli.network.list_and_show.assess_feasibility", ["network", "show", "gprs_2g"]),
    "network verify": ("ringfence.cli.network.verify.verify_profiles", ["network", "verify", "gprs_2g"]),
    "network exec": ("ringfence.cli.network.exec.run_behind", ["network", "exec", "gprs_2g", "--", "true"]),
    "devices list": ("ringfence.cli.devices.catalogue", ["devices", "list"]),
    "devices show": ("ringfence.cli.devices.catalogue", ["devices", "show", "nokia-1"]),
    "plans list": ("ringfence.cli.lookup.plans.load_plan", ["plans", "list"]),
    "plans show": ("ringfence.cli.lookup.plans.load_plan", ["plans", "show", "smoke"]),
    "scenarios list": ("ringfence.cli.lookup.scenarios.print_list", ["scenarios", "list"]),
    "scenarios show": ("ringfence.cli.lookup.scenarios.entry_named", ["scenarios", "show", "hold"]),
    "metrics list": ("ringfence.cli.lookup.metrics.print_list", ["metrics", "list"]),
    "metrics show": ("ringfence.cli.lookup.metrics.entry_named", ["metrics", "show", "setup_ms_p95"]),
    "slo list": ("ringfence.cli.lookup.slo.load_slo", ["slo", "list"]),
    "slo show": ("ringfence.cli.lookup.slo.load_slo", ["slo", "show", "smoke"]),
    "bench media": ("ringfence.cli.bench.media.bench_media", ["bench", "media"]),
    "bench link": ("ringfence.cli.bench.link.bench", ["bench", "link"]),
    "bench signaling": ("ringfence.cli.bench.signaling.bench_signaling", ["bench", "signaling"]),
    "doctor": ("ringfence.cli.doctor.run_checks", ["doctor"]),
}
"""By command: a function that it calls, and its command line."""


def boom(*_: object, **__: object) -> Any:
    raise ZeroDivisionError(PLANTED)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(crash.RUN_FOLDER, "")
    return tmp_path / "cache" / "ringfence" / "crashes"


def traceback_in(folder: Path) -> str:
    (file,) = folder.glob("crash-*.txt")
    return file.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_of_a_command_is_70_with_one_sentence_and_a_file(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target, words = COMMANDS[name]
    module, _, function = target.rpartition(".")
    monkeypatch.setattr(importlib.import_module(module), function, boom)
    (tmp_path / "runs" / "one" / "calls").mkdir(parents=True)
    places = {"DATABASE": str(tmp_path / "service.sqlite"), "FOLDER": str(tmp_path / "runs")}
    assert run_command([places.get(word, word) for word in words]) == ExitCode.CRASHED
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("ringfence crashed. This is a bug in ringfence, not a result of the test: ")
    assert f"ZeroDivisionError: {PLANTED}; traceback in {cache}" in sentence
    assert "in boom" in traceback_in(cache)


def test_the_exit_codes_stand_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["run"], ["swarm"], ["matrix"], ["gate"]):
        assert run_command([*words, "--help"]) == ExitCode.PASS
        shown = " ".join(capsys.readouterr().out.split())
        assert "70" in shown, words
        assert "crash" in shown, words


def test_without_any_folder_the_traceback_goes_to_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
    monkeypatch.setattr("ringfence.cli.doctor.run_checks", boom)
    assert run_command(["doctor"]) == ExitCode.CRASHED
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].endswith(PLANTED)


PROCESSES = {
    "reference_service": ("reference_service.service", "Service", ["--database", "DATABASE"]),
    "calls.engine": ("calls.engine.program", "main", []),
    "network_profiles.links.userspace": ("network_profiles.links.daemon", "serve", ['{"compiled": null}', "x"]),
    "network_profiles.links.netem.netem_daemon": ("network_profiles.links.daemon", "serve", ["{}", "x"]),
    "network_profiles.verification.probe.endpoint": ("socket", "socket", ["127.0.0.1"]),
    "network_profiles.bench.traffic": ("json", "loads", ["{}"]),
    "network_profiles.links.rootless": ("network_profiles.links.interfaces", "bring_loopback_up", ["true"]),
    "loadtests.shapes.step_judge": ("reports.run.run_folder", "find_run", []),
    "calls.bench.arm": ("calls.compiled", "use", ["--arm", "engine", "--core", "0"]),
    "calls.bench.signaling_arm": (
        "calls.targets", "open_target", ["--url", "http://127.0.0.1:9", "--pairs", "1", "--core", "0"],
    ),
    "calls.quality.probe_scorer": (
        "msgspec.msgpack", "decode", ["--run-folder", "FOLDER", "--run-id", "r", "--writer", "w"],
    ),
}  # fmt: skip
"""By module that is run as a program: what it uses, which is made to raise, and its command line."""
PLANT = """
import importlib, runpy, sys
def boom(*_, **__):
    raise ZeroDivisionError({planted!r})
module = importlib.import_module({module!r})
setattr(module, {function!r}, boom)
sys.argv[1:] = {arguments!r}
runpy.run_module({program!r}, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("program", PROCESSES)
def test_a_crash_of_a_process_is_70_with_its_traceback_in_the_run(program: str, tmp_path: Path) -> None:
    module, function, arguments = PROCESSES[program]
    run = tmp_path / "run"
    for folder in ("logs", "service"):
        (run / folder).mkdir(parents=True)
    places = {"DATABASE": str(run / "service" / "service.sqlite"), "FOLDER": str(run)}
    script = PLANT.format(
        planted=PLANTED, module=module, function=function, program=program,
        arguments=[places.get(word, word) for word in arguments],
    )  # fmt: skip
    order = b'{"run": "x", "slo": "smoke", "from_s": 0, "until_s": 1, "looks": 1, "scenario": ""}'
    ended = subprocess.run(
        [sys.executable, "-c", script], input=order, capture_output=True, check=False, cwd=PROJECT,
        env={**os.environ, crash.RUN_FOLDER: str(run)},
    )  # fmt: skip
    said = ended.stderr.decode()
    assert ended.returncode == ExitCode.CRASHED, said
    sentence = said.splitlines()[-1]
    assert f"{program.partition('.')[0]}" in sentence
    assert "crashed" in sentence
    assert PLANTED in sentence
    assert "Traceback" not in said
    (file,) = run.glob("*/crash-*.txt")
    assert str(file) in sentence
    assert PLANTED in file.read_text()


def test_a_parent_says_that_a_child_crashed_and_where_its_traceback_is(tmp_path: Path) -> None:
    crash.set_run_folder(tmp_path)
    script = "from bedrock import crash\nwith crash.reporting('part'):\n    raise ValueError('planted')"
    from bedrock.child_process import spawn

    child = spawn("the part", [sys.executable, "-c", script], pipe_stdout=True, cwd=PROJECT)
    try:
        with pytest.raises(EnvironmentLacks, match="crashed, which is a bug in ringfence") as caught:
            child.wait_ready(60)
    finally:
        child.stop()
        crash.set_run_folder(None)
    assert caught.value.exit_code == ExitCode.CRASHED
    (file,) = (tmp_path / "logs").glob("crash-part-*.txt")
    assert str(file) in caught.value.message


@pytest.mark.integration
def test_a_crash_in_the_middle_of_a_run_names_the_folder_which_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ringfence.orchestration.supervisor.Supervisor._watch", boom)
    words = ["swarm", "--set", "swarm.people=40", "--set", "swarm.probe_calls=0", "--set", "swarm.workers=1"]
    words += ["--set", "swarm.stages=[{name='a',duration_s=5,concurrent_calls=2}]", "--runs", str(tmp_path / "runs")]
    assert run_command([*words, "--force"]) == ExitCode.CRASHED
    run = (tmp_path / "runs" / "latest").resolve()
    said = capsys.readouterr().err
    sentence = said.splitlines()[-1]
    assert f"run folder {run}" in sentence
    assert "in boom" in traceback_in(run / "logs")
    faults = json.loads((run / "manifest.json").read_text())["faults"]
    assert ("ringfence_crashed", "invalid") in {(fault["what"], fault["severity"]) for fault in faults}
    assert run_command(["gate", str(run), "--json"]) == ExitCode.INVALID
    assert nothing_left(run)


@pytest.mark.integration
def test_a_part_that_crashes_before_it_is_ready_makes_the_run_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashed(*_: object, **__: object) -> Any:
        raise ChildCrashed("the reference service crashed", hint="its last words")

    monkeypatch.setattr("ringfence.orchestration.supervisor.open_target", crashed)
    assert run_command(["swarm", "--runs", str(tmp_path / "runs"), "--force"]) == ExitCode.INVALID
    summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
    assert "the reference service crashed its last words" in " ".join(summary["reasons"])


SWARM_PLANT = """
import sys
import ringfence.orchestration.swarm as swarm
from ringfence.__main__ import main
PLANT = {plant!r}
def locust_command():
    return [sys.executable, "-c", PLANT, "-f", str(swarm.locustfile())]
swarm.locust_command = locust_command
main()
"""
ENGINE_PLANT = """
async def boom(*_):
    raise ZeroDivisionError("planted by a test")
from calls.engine.server import Server
Server._receive = boom
import runpy
runpy.run_module("calls.engine", run_name="__main__", alter_sys=True)
"""
IN_LOCUST = {
    "master": """
import loadtests.master.master as one
one.SwarmMaster._begin = boom
""",
    "worker": """
import loadtests.worker.worker_run as one
one.WorkerRun.go = boom
""",
    "user": """
import loadtests.users as one
one.Person._write = boom
""",
    "engine": f"""
import calls.bridge.client as one
real = one.spawn_process
one.spawn_process = lambda name, argv, **more: real(name, [argv[0], "-c", {ENGINE_PLANT!r}, *argv[3:]], **more)
""",
}
LOCUST_PLANT = """
import sys
from gevent import monkey
monkey.patch_all()
def boom(*_, **__):
    raise ZeroDivisionError("planted by a test")
{plant}
from locust.main import main
main()
"""


@pytest.mark.patient
@pytest.mark.integration
@pytest.mark.parametrize("part", IN_LOCUST)
def test_a_crash_of_a_part_of_the_swarm_makes_the_run_invalid(part: str, tmp_path: Path) -> None:
    plant = LOCUST_PLANT.format(plant=IN_LOCUST[part])
    with small_run(tmp_path, peak_s=8, program=("-c", SWARM_PLANT.format(plant=plant))) as run:
        code, summary = run.ended()
    assert (code, summary["verdict"]) == (ExitCode.INVALID, "INVALID")
    reasons = " ".join(summary["reasons"])
    assert "crashed" in reasons or "could not go on" in reasons, reasons
    tracebacks = [file.read_text() for file in (run.folder / "logs").glob("crash-*.txt")]
    assert tracebacks
    assert all(PLANTED in text for text in tracebacks)
    assert nothing_left(run.folder)
