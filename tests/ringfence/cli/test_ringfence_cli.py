from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import nothing_left, small_run
from tls_front import behind_tls, certificate
from waiting import HANG_LIMIT_S

from bedrock.child_environment import child_environment
from bedrock.exit_codes import ExitCode
from ringfence.__main__ import run_command
from ringfence.orchestration.swarm import locust_command, locustfile
from ringfence.run_plan import load_plan

COMMANDS = [
    "run",
    "swarm",
    "matrix",
    "serve",
    "gate",
    "report",
    "compare",
    "history",
    "network",
    "devices",
    "bench",
    "doctor",
]


def test_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--help"]) == ExitCode.PASS
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", shown), command
    assert "4 INVALID" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_its_use(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([command, "--help"]) == ExitCode.PASS
    assert len(capsys.readouterr().out.splitlines()) > 5


@pytest.mark.parametrize("arguments", [["rnu"], ["run", "--plna", "smoke"], ["bench", "media", "--calls", "0"]])
def test_a_wrong_word_is_exit_2(arguments: list[str]) -> None:
    assert run_command(arguments) == ExitCode.USAGE


def test_every_wrong_name_of_a_plan_is_told_at_once_and_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "wrong.toml"
    plan.write_text(
        """
        name = "wrong"
        slo = "smok"
        sede = 3
        [swarm]
        people = 100
        mix = "emerging_smok"
        talk_s = { median = 20 }
        stages = [{ name = "peak", duration_s = 10, concurrent_calls = -5 }]
        [matrix]
        devices = ["nokia-one"]
        rules = [{ scenario = "audio_cal", networks = ["gprs"] }]
        """
    )

    code = run_command(["run", "--plan", str(plan), "--runs", str(tmp_path / "runs")])

    told = capsys.readouterr().err
    assert code == ExitCode.USAGE
    assert not (tmp_path / "runs").exists()
    for key, nearest in [
        ("slo", "smoke"),
        ("sede", "seed"),
        ("swarm.mix", "emerging_smoke"),
        ("swarm.stages[0].concurrent_calls", "at least 0 and at most 100000"),
        ("matrix.devices[0]", "nokia-1"),
        ("matrix.rules[0].scenario", "audio_call"),
        ("matrix.rules[0].networks[0]", "gprs_2g"),
    ]:
        line = next((line for line in told.splitlines() if f": {key}: " in line), "")
        assert nearest in line, f"{key}: {told}"
        assert "wrong.toml" in line


def test_an_unknown_plan_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["run", "--plan", "smok"]) == ExitCode.USAGE
    assert "did you mean 'smoke'?" in capsys.readouterr().err


def test_an_override_that_is_no_assignment_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["run", "--set", "seed"]) == ExitCode.USAGE
    assert "section.key=value" in capsys.readouterr().err


def test_a_target_that_does_not_answer_is_exit_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_ADMIN_TOKEN", "secret")
    arguments = ["swarm", "--set", "target.url=http://127.0.0.1:9", "--runs", str(tmp_path)]

    assert run_command(arguments) == ExitCode.ENVIRONMENT
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().err


PLAN_OF_OWN_TARGET = """
name = "mine"
[target]
url = "https://127.0.0.1:9"
ca_file = "{ca_file}"
[swarm]
people = 16
mix = "emerging_smoke"
talk_s = {{ median = 5 }}
stages = [{{ name = "peak", duration_s = 18, concurrent_calls = 4 }}]
"""


def test_a_plan_names_the_certificate_of_its_target_beside_itself(tmp_path: Path) -> None:
    certificate(tmp_path)
    file = tmp_path / "mine.toml"
    file.write_text(PLAN_OF_OWN_TARGET.format(ca_file="own.pem"))
    plan = load_plan(str(file))
    assert plan.settings.target.ca_file == str(tmp_path / "own.pem")
    assert plan.tables["target"]["ca_file"] == str(tmp_path / "own.pem"), "children read a copy that lies elsewhere"


@pytest.mark.parametrize("named", ["nothing.pem", ".", "mine.toml"])
def test_a_file_that_holds_no_certificate_is_named_with_its_key(
    tmp_path: Path, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(PLAN_OF_OWN_TARGET.format(ca_file=named))
    assert run_command(["swarm", "--plan", str(file), "--runs", str(tmp_path / "runs")]) == ExitCode.USAGE
    told = " ".join(capsys.readouterr().err.split())
    assert "target.ca_file" in told
    assert "PEM" in told


async def test_a_target_whose_certificate_is_not_trusted_says_so_and_is_exit_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_ADMIN_TOKEN", "secret")
    monkeypatch.setenv("RINGFENCE_CA_FILE", "")
    _, context = certificate(tmp_path)
    async with behind_tls("http://127.0.0.1:9", context) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ringfence", "swarm", "--set", f"target.url={url}", "--runs", str(tmp_path),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        shown, _ = await process.communicate()
    assert process.returncode == ExitCode.ENVIRONMENT
    told = " ".join(shown.decode().split())
    assert "is not trusted" in told
    assert "target.ca_file" in told
    assert "start it" not in told


def test_figures_come_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["devices", "list", "--json"]) == ExitCode.PASS
    devices = json.loads(capsys.readouterr().out)
    assert run_command(["network", "list", "--json"]) == ExitCode.PASS
    listed = json.loads(capsys.readouterr().out)
    networks = listed["profiles"]

    assert len(devices) >= 24
    assert sum(device["class"] in ("go", "low") for device in devices) >= 10
    assert sum(device["class"] == "ios" and device["emulated"] for device in devices) >= 4
    assert len(networks) >= 24
    assert all(network["source"] for network in networks)
    assert {mix["id"] for mix in listed["mixes"]} >= {"emerging_2g_3g", "us", "europe"}


def test_an_unknown_device_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["devices", "show", "nokia-2"]) == ExitCode.USAGE
    assert "did you mean 'nokia-1'?" in capsys.readouterr().err


def test_doctor_tells_tiers_and_fixes(capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert {"packets", "media"} <= set(report["tiers"])
    assert all(finding["fix"] for finding in report["findings"] if not finding["ok"] and finding["tiers"])


def test_the_command_line_starts_without_reading_heavy_packages() -> None:
    script = "import sys, ringfence.__main__; print({'locust', 'duckdb', 'aiortc', 'playwright'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("file", ["locust.conf", "pyproject.toml", "home/.locust.conf"])
def test_locusts_configuration_files_are_heard_by_hand_and_never_in_a_run(tmp_path: Path, file: str) -> None:
    (tmp_path / "home").mkdir()
    heading = "[tool.locust]\n" if file.endswith(".toml") else ""
    (tmp_path / file).write_text(f"{heading}loglevel = 'NONSENSE'\n")
    env = child_environment({"HOME": str(tmp_path / "home")})

    def ends_with(command: list[str]) -> int:
        asked = [*command, "--list"]
        return subprocess.run(asked, cwd=tmp_path, env=env, capture_output=True, check=False).returncode

    assert ends_with([sys.executable, "-m", "locust", "-f", str(locustfile())]) == 2
    assert ends_with(locust_command()) == 0


PORT_TAKEN = """
import sys
from ringfence.orchestration import swarm
swarm.free_port = lambda: {port}
from ringfence.__main__ import main
sys.argv[0] = "ringfence"
main()
"""


@pytest.mark.integration
def test_a_masters_port_that_somebody_took_is_one_sentence_exit_5_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with small_run(tmp_path, program=("-c", PORT_TAKEN.format(port=port))) as run:
            output, _ = run.popen.communicate(timeout=HANG_LIMIT_S)
    told = f"the Locust master cannot listen for its workers at 127.0.0.1, port {port}: Address already in use"
    assert run.popen.returncode == ExitCode.ENVIRONMENT, output
    assert output.count(told) == 1, output
    assert "Traceback" not in output
    assert nothing_left(run.folder)
    assert run_command(["gate", str(run.folder)]) == ExitCode.INVALID
