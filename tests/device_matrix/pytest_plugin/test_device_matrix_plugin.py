"""``pytest device_matrix`` from outside: what it would run, what it says when something is wrong, how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from waiting import HANG_LIMIT_S
from xdist.workermanage import NodeManager

from bedrock.errors import EnvironmentLacks
from bedrock.exit_codes import ExitCode
from device_matrix.attempt.lifetime import ORDERLY_END_S
from device_matrix.cells import Cell, DriverName
from device_matrix.cpu import cpu_limit
from device_matrix.pytest_plugin.controller import Controller
from device_matrix.pytest_plugin.exit_status import SessionOutcomes, our_exit_code
from device_matrix.pytest_plugin.plugin import ATTEMPT_LIMIT_S, InterruptHook
from device_matrix.pytest_plugin.prerequisites import require_prerequisites
from network_profiles import missing_prerequisites

MATRIX = Path(__file__).parents[3] / "device_matrix"
PLAN = """
seed = 1
[matrix]
devices = ["redmi-go", "pixel-7"]
[[matrix.rules]]
scenario = "audio_call"
networks = ["hspa_35g"]
[[matrix.rules]]
scenario = "video_fallback"
networks = ["gprs_2g"]
"""

pytestmark = pytest.mark.integration
needs_machine = pytest.mark.skipif(
    bool(missing_prerequisites() or cpu_limit.missing_prerequisites()), reason="no links or CPU groups on this machine"
)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def matrix(folder: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", str(MATRIX), "--run-folder", str(folder), "-n", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=HANG_LIMIT_S,
        check=False,
        cwd=folder.parent,
        env={**os.environ, "PATH": path or os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
    )


@needs_machine
def test_the_cells_are_listed_longest_first_and_nothing_is_started(tmp_path: Path, plan: Path) -> None:
    ended = matrix(tmp_path / "run", "--plan", str(plan), "--collect-only", "-q")
    listed = [line.partition("[")[2].rstrip("]") for line in ended.stdout.splitlines() if "test_cell[" in line]
    assert listed == [
        "redmi-go--gprs_2g--video_fallback",
        "pixel-7--gprs_2g--video_fallback",
        "redmi-go--hspa_35g--audio_call",
        "pixel-7--hspa_35g--audio_call",
    ]
    assert ended.returncode == 0
    assert not (tmp_path / "run").exists()


def test_everything_unknown_is_named_at_once_and_nothing_is_started(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.replace("redmi-go", "redmi-goo").replace("hspa_35g", "hspa_36g").replace("audio_", "audi_"))
    ended = matrix(tmp_path / "run", "--plan", str(plan))
    assert ended.returncode == ExitCode.USAGE
    assert f"{plan}: matrix.devices[0]: unknown device 'redmi-goo' (did you mean 'redmi-go'?)" in ended.stderr
    assert "unknown network 'hspa_36g' (did you mean 'hspa_35g'?)" in ended.stderr
    assert "unknown scenario 'audi_call' (did you mean 'audio_call'?)" in ended.stderr
    assert not (tmp_path / "run").exists()


def test_a_cell_that_does_not_exist_is_named_with_the_nearest(tmp_path: Path, plan: Path) -> None:
    ended = matrix(tmp_path / "run", "--plan", str(plan), "--cell", "pixel-7--hspa_35g--audio_cal")
    assert ended.returncode == ExitCode.USAGE
    assert "did you mean 'pixel-7--hspa_35g--audio_call'?" in ended.stderr


@needs_machine
def test_a_target_that_does_not_answer_is_one_sentence_and_exit_5(tmp_path: Path, plan: Path) -> None:
    ended = matrix(tmp_path / "run", "--plan", str(plan), "--target", "http://127.0.0.1:9")
    assert ended.returncode == ExitCode.ENVIRONMENT
    assert "the target http://127.0.0.1:9 does not answer" in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr + ended.stdout


@needs_machine
def test_a_machine_without_programs_is_told_which_and_how_to_get_them(tmp_path: Path, plan: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "setpriv").symlink_to("/usr/bin/setpriv")
    ended = matrix(tmp_path / "run", "--plan", str(plan), path=str(tools))
    said = ended.stderr + ended.stdout
    assert ended.returncode == ExitCode.ENVIRONMENT
    assert "'nsenter' is not on this machine (apt-get install util-linux)" in said
    assert "there is no Chromium (apt-get install chromium" in said
    assert "there is no Node.js (apt-get install nodejs" in said
    assert "Traceback" not in said


def test_xdist_lets_workers_take_the_time_that_their_far_ends_need() -> None:
    """By itself it kills them 10 s after Ctrl-C."""
    asked: list[str] = []
    controller = cast(Controller, SimpleNamespace(interrupt_workers=lambda: asked.append("to end")))
    nodes = NodeManager.__new__(NodeManager)
    assert nodes.EXIT_TIMEOUT < ORDERLY_END_S
    plugins = cast(
        pytest.PytestPluginManager, SimpleNamespace(getplugin={"dsession": SimpleNamespace(nodemanager=nodes)}.get)
    )
    InterruptHook(controller, plugins).pytest_keyboard_interrupt()
    assert asked == ["to end"]
    waited: list[float] = []
    nodes.group = cast(Any, SimpleNamespace(terminate=waited.append))
    nodes.teardown_nodes()
    assert waited == [ATTEMPT_LIMIT_S]


def test_without_xdist_there_is_nobody_to_wait_for() -> None:
    controller = cast(Controller, SimpleNamespace(interrupt_workers=bool))
    InterruptHook(controller, cast(Any, SimpleNamespace(getplugin=lambda _name: None))).pytest_keyboard_interrupt()


def test_without_root_links_asked_for_by_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    cell = Cell("redmi-go", "lte_good", "audio_call", DriverName.PLAYWRIGHT)
    with pytest.raises(EnvironmentLacks, match="root is needed") as caught:
        require_prerequisites([cell], "userspace")
    assert caught.value.exit_code == ExitCode.ENVIRONMENT


@needs_machine
@pytest.mark.parametrize(
    "arguments",
    [["--plna", "x"], ["nowhere.py"], ["-k", "no_such_cell", "--collect-only"]],
    ids=["option", "file", "nothing to run"],
)
def test_what_pytest_calls_4_and_5_is_wrong_usage(tmp_path: Path, plan: Path, arguments: list[str]) -> None:
    assert matrix(tmp_path / "run", "--plan", str(plan), *arguments).returncode == ExitCode.USAGE


CRASHES = {
    "configure": "import device_matrix.pytest_plugin.plugin as one\none.read_options = boom",
    "start": "import device_matrix.pytest_plugin.controller as one\none.Controller.start = boom",
    "cell": "import device_matrix.attempt.execution as one\none.Attempt.run = boom",
    "worker": "import device_matrix.attempt.worker as one\none.Worker.warm_up = boom",
}


@needs_machine
@pytest.mark.parametrize("part", CRASHES)
def test_a_crash_of_our_own_is_70_and_never_a_failed_test(tmp_path: Path, plan: Path, part: str) -> None:
    script = f"""
def boom(*_, **__):
    raise ZeroDivisionError("planted by a test")
{CRASHES[part]}
import sys, pytest
sys.exit(pytest.main(sys.argv[1:]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(MATRIX), "--run-folder", str(tmp_path / "run"), "-n", "0",
         "--plan", str(plan), "--cell", "pixel-7--hspa_35g--audio_call"],
        capture_output=True, text=True, timeout=HANG_LIMIT_S, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(MATRIX.parent), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )  # fmt: skip
    said = ended.stderr + ended.stdout
    assert ended.returncode == ExitCode.CRASHED, said
    assert "pytest device_matrix crashed. This is a bug in ringfence" in said
    (file,) = tmp_path.glob("**/crash-*.txt")
    assert "planted by a test" in file.read_text()


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (SessionOutcomes(failed=1, unjudged=1, crashed=1), ExitCode.FAIL),
        (SessionOutcomes(unjudged=1, crashed=1), ExitCode.CRASHED),
        (SessionOutcomes(unjudged=1), ExitCode.INVALID),
    ],
)
def test_some_tests_failed_is_a_fail_only_where_the_product_failed(outcomes: SessionOutcomes, code: ExitCode) -> None:
    assert our_exit_code(pytest.ExitCode.TESTS_FAILED, outcomes) == code
    assert our_exit_code(pytest.ExitCode.INTERRUPTED, outcomes) == ExitCode.INTERRUPTED
    assert our_exit_code(pytest.ExitCode.INTERNAL_ERROR, outcomes) == ExitCode.CRASHED
    assert our_exit_code(5, outcomes) == 5, "a code that we had it end with"
