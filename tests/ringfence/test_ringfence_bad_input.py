"""Whatever a person writes: it is told with file and key and exit code 2, or accepted and then usable."""

from __future__ import annotations

import json
import math
import os
import random
import socket
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from mutations import HOSTILE_TEXTS, HOSTILE_VALUES, leaves, mutated_bytes, mutated_files
from pydantic import BaseModel

import loadtests.plan.swarm_plan
import reports.slo.slo_file
from bedrock.environment_input import check_environment
from bedrock.errors import InputError, RingfenceError
from bedrock.exit_codes import ExitCode
from device_matrix.cpu.cpu_limit import quota_cores
from device_matrix.devices import DEVICES_FILE, catalogue, load_devices
from device_matrix.plan.matrix_plan import load_matrix_plan
from device_matrix.plan.planner import plan_cells
from loadtests.arrivals.load_line import planned_calls
from loadtests.plan.daily_curve import CURVES_FILE, load_curves
from loadtests.plan.personas import PERSONAS_FILE, load_personas, shares
from network_profiles import load_catalogue
from network_profiles.catalogue.catalogue import PROFILES_FOLDER, read_profile
from network_profiles.catalogue.feasibility import assess_feasibility
from network_profiles.catalogue.region_mix import MIXES_FILE, read_mixes
from network_profiles.model.plain_profile import from_json, plain_profile
from network_profiles.model.traces.mahimahi import TraceUnreadable, read_trace
from ringfence.__main__ import run_command
from ringfence.run_plan import PLANS_FOLDER, load_plan, scale_times

SEED = 20261128
PLANS = ("smoke", "knee", "rollout", "soak", "launch_day")
OURS = ("instance of", "constrained", "pydantic", "Input should", "function-", "Traceback")
"""Words of our machinery, which tell a user nothing."""


def told_or_usable(read: Callable[[], object], file: str) -> bool:
    """Reads; returns whether it was accepted. Fails for an error that is not told as it should be."""
    refused: RingfenceError | None = None
    try:
        read()
    except RingfenceError as error:
        refused = error
    if refused is None:
        return True
    said = str(refused)
    assert refused.exit_code == ExitCode.USAGE, said
    assert all(sign.isprintable() or sign == "\n" for sign in said), repr(said)
    assert not [word for word in OURS if word in said], said
    if isinstance(refused, InputError):
        assert refused.problems
        assert all(file in problem.file or "/" in problem.file for problem in refused.problems), said
        assert all(len(str(problem)) < 3000 for problem in refused.problems), said
    return False


def all_finite(value: Any) -> bool:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return all(map(all_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(all_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def use_plan(path: str, overrides: list[str] | None = None) -> None:
    plan = load_plan(path, overrides)
    assert all_finite(plan.settings)
    json.dumps(plan.tables, allow_nan=False, default=str)
    assert tomllib.loads(tomli_w.dumps(plan.tables))
    assert math.isfinite(plan.settings.estimated_duration_s)
    assert math.isfinite(plan.settings.max_duration_s)
    matrix, swarm = plan.settings.matrix, plan.settings.swarm
    if swarm is not None:
        assert swarm.in_words()
        assert math.isfinite(swarm.effective_drain_s)
        if not swarm.is_stepwise:
            wanted = planned_calls(swarm, 1.0)
            assert all(math.isfinite(wanted(at_s)) for at_s in (0.0, 1.0, 100.0))
        told_or_usable(lambda: scale_times(plan, 0.5), "")
        if overrides is None:
            told_or_usable(
                lambda: loadtests.plan.swarm_plan.limits_of(loadtests.plan.swarm_plan.load_plan(path), Path(path)), path
            )
    if matrix is not None:
        assert plan_cells(matrix, catalogue(), load_catalogue(), file=path)
        if overrides is None:
            told_or_usable(lambda: load_matrix_plan(Path(path)), path)


def use_slo(path: str) -> None:
    slo = reports.slo.slo_file.load_slo(path)
    assert all_finite(slo)
    assert all(
        rule.scope and math.isfinite(rule.limit) and rule.matches(rule.limit) in (True, False) for rule in slo.rule
    )


def use_profile(path: str) -> None:
    profile = read_profile(Path(path))
    written = json.dumps(plain_profile(profile), allow_nan=False)
    assert from_json(json.loads(written)) == plain_profile(profile)
    feasibility = assess_feasibility(profile)
    assert feasibility.sentence
    assert math.isfinite(feasibility.setup_floor_ms)


def use_devices(path: str) -> None:
    for device in load_devices(Path(path)).values():
        assert 0 < quota_cores(device, 64) <= 64


def use_personas(path: str) -> None:
    for mix in load_personas.__wrapped__(Path(path)).mixes.values():
        assert sum(shares(mix).values()) == pytest.approx(1)


def use_curves(path: str) -> None:
    for curve in load_curves.__wrapped__(Path(path)).values():
        assert all(0 <= curve.factor(hour) <= 1 for hour in range(25))


def use_mixes(path: str) -> None:
    for mix in read_mixes(Path(path)).values():
        assert sum(mix.shares.values()) == pytest.approx(1)


def plan_texts() -> Iterator[str]:
    return ((PLANS_FOLDER / f"{name}.toml").read_text() for name in PLANS)


def texts_of(*files: Path) -> Iterator[str]:
    return (file.read_text() for file in files)


PROFILES = ("gprs_2g", "lift", "sat_leo", "umts_driving", "handover_lte_3g")
KINDS: dict[str, tuple[Callable[[], Iterator[str]], Callable[[str], None], int]] = {
    "plans": (plan_texts, use_plan, 220),
    "slos": (lambda: texts_of(*sorted(reports.slo.slo_file.BUILT_IN.glob("*.toml"))[:3]), use_slo, 150),
    "profiles": (lambda: texts_of(*(PROFILES_FOLDER / f"{one}.toml" for one in PROFILES)), use_profile, 120),
    "devices": (lambda: texts_of(DEVICES_FILE), use_devices, 100),
    "personas": (lambda: texts_of(PERSONAS_FILE), use_personas, 150),
    "curves": (lambda: texts_of(CURVES_FILE), use_curves, 100),
    "mixes": (lambda: texts_of(MIXES_FILE), use_mixes, 120),
}
"""By kind of file: what to start from, how to use one, and how many mutations of each."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_told_or_usable(kind: str, tmp_path: Path) -> None:
    originals, use, count = KINDS[kind]
    path = tmp_path / "mutated.toml"
    accepted = tried = 0
    for number, text in enumerate(originals()):
        rng = random.Random(f"{SEED} {kind} {number}")
        for mutated in mutated_files(rng, text, tomllib.loads(text), count):
            path.write_bytes(mutated)
            accepted += told_or_usable(lambda: use(str(path)), str(path))
            tried += 1
    assert tried >= count
    assert 0 < accepted < tried


def test_a_mutated_trace_is_told_or_usable(tmp_path: Path) -> None:
    rng, path = random.Random(SEED), tmp_path / "mutated.up"
    text = "".join(f"{at_ms}\n" for at_ms in sorted(rng.randrange(5000) for _ in range(200)))
    accepted, said = 0, list[str]()
    for mutated in mutated_bytes(rng, text, 300):
        path.write_bytes(mutated)
        try:
            trace = read_trace(path)
        except TraceUnreadable as error:
            said.append(str(error))
            continue
        accepted += 1
        assert math.isfinite(trace.mean_kbit)
        assert all(math.isfinite(kbit) for (_, kbit), _ in zip(trace.sampled(), range(100), strict=False))
    assert 0 < accepted < 300
    assert all(map(str.isprintable, said))


def test_a_mutated_override_is_told_or_usable() -> None:
    rng = random.Random(SEED)
    tables = tomllib.loads((PLANS_FOLDER / "smoke.toml").read_text())
    keys = [".".join(map(str, path)) for path in leaves(tables)]
    keys += ["", ".", "a..b", "a" * 300, "swarm.", ".swarm", "a." * 500 + "b", "\0", "swarm\x1b", "\udcff", "name.x"]
    values = [*map(str, HOSTILE_VALUES), *(text.removeprefix("x = ") for text in HOSTILE_TEXTS), "\udcff", "1\ny = 2"]
    accepted = 0
    for _ in range(400):
        override = f"{rng.choice(keys)}{rng.choice(('=', '=', '=', '=', ' = ', ''))}{rng.choice(values)}"
        accepted += told_or_usable(lambda: use_plan("smoke", [override]), "")  # noqa: B023 - called at once
    assert 0 < accepted < 400


def test_a_mutated_environment_is_told_or_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(SEED)
    accepted = 0
    for _ in range(200):
        value = "".join(rng.choices("01ayn \t\n\x1b\x7fé🦊\udcff-_=", k=rng.choice((0, 1, 1, 5, 2000))))
        name = rng.choice(("RINGFENCE_ADMIN_TOKEN", "RINGFENCE_COMPILED"))
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            accepted += told_or_usable(check_environment, "environment")
    assert 0 < accepted < 200


def special(path: Path, kind: str) -> Path:
    """Makes what is no regular file of a decent size."""
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path.name)
        case "large":
            with path.open("wb") as file:
                file.truncate(500_000_000)
        case "grows":
            path.symlink_to("/proc/self/pagemap")
    return path


SPECIAL = {
    "folder": "must be a regular file (it is a folder)",
    "pipe": "must be a regular file (it is a named pipe)",
    "device": "must be a regular file (it is a device)",
    "socket": "cannot be read",
    "loop": "cannot be read",
    "large": "bytes long (got 500,000,000)",
    "grows": "bytes long",
    "missing": "no such file",
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("argument", ["plan", "slo", "profile", "trace"])
def test_what_is_no_regular_file_is_told_as_such(
    tmp_path: Path, kind: str, argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = special(tmp_path / "it.toml", kind)
    command = ["network", "show", str(file)]
    if argument == "plan":
        command = ["swarm", "--plan", str(file), "--runs", str(tmp_path / "runs")]
    elif argument == "slo":
        command = ["swarm", "--set", f"slo={file}", "--runs", str(tmp_path / "runs")]
    elif argument == "trace":
        text = (PROFILES_FOLDER / "gprs_2g.toml").read_text().replace("\nrate_kbit = ", "\n# ", 1)
        profile = tmp_path / "profile.toml"
        profile.write_text(text.replace("\n[down]", "\n[down]\ntrace = { file = 'it.toml' }", 1) + '\nchange = "t"\n')
        command = ["network", "show", str(profile)]
    code = run_command(command)
    said = capsys.readouterr().err
    assert code == ExitCode.USAGE, said
    endless_trace = argument == "trace" and kind == "grows"
    assert ("line 1: must be whole milliseconds" if endless_trace else SPECIAL[kind]) in said
    assert "it.toml" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("name", "says"), [("a" * 300 + ".toml", "at most 255 bytes"), ("é" * 200 + ".toml", "(got 405)")]
)
@pytest.mark.parametrize("command", [["swarm", "--plan"], ["network", "show"]])
def test_a_name_that_no_file_can_have_is_told(
    command: list[str], name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command([*command, name]) == ExitCode.USAGE
    assert says in capsys.readouterr().err


IMPOSSIBLE_NAMES = [("a" * 300, "at most 255 bytes long (got 300)"), ("é" * 200, "(got 400)"), ("a\0b", "NUL")]
COMMANDS_OF_A_FOLDER = [
    ["gate"], ["report"], ["history"], ["compare"], ["compare", "."],
    ["run", "--runs"], ["swarm", "--runs"], ["matrix", "--runs"], ["serve", "--database"],
]  # fmt: skip


@pytest.mark.parametrize(("name", "says"), IMPOSSIBLE_NAMES)
@pytest.mark.parametrize("command", COMMANDS_OF_A_FOLDER, ids=" ".join)
def test_a_name_that_no_folder_can_have_is_told_in_one_sentence(
    command: list[str], name: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == ["compare", "."]:
        (tmp_path / "manifest.json").write_text("{}")
        assert run_command(["report", str(tmp_path)]) == ExitCode.PASS
        capsys.readouterr()
        command = ["compare", str(tmp_path)]
    assert run_command([*command, name]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert says in said
    assert said.count(says) == 1
    assert len(said) < 400, "a name of a mile is not printed whole"
    assert "\0" not in said


@pytest.mark.parametrize("command", ["gate", "report"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_a_recorded_slo_that_is_no_file_is_told_and_holds_nobody(
    tmp_path: Path, kind: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = special(tmp_path / "smoke.toml", kind)
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").write_text(json.dumps({"run_id": "r", "slo": {"name": "smoke", "file": str(file)}}))
    assert run_command([command, str(run)]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert SPECIAL[kind] in said
    assert str(file) in said
    assert "--slo" in said
    assert run_command([command, str(run), "--slo", "smoke"]) in (ExitCode.INVALID, ExitCode.PASS)


def test_a_byte_order_mark_is_read_and_other_encodings_are_told(tmp_path: Path) -> None:
    text = (PROFILES_FOLDER / "gprs_2g.toml").read_text()
    path = tmp_path / "gprs_2g.toml"
    path.write_text(text, encoding="utf-8-sig")
    assert read_profile(path) == load_catalogue()["gprs_2g"]
    path.write_text(text, encoding="utf-16")
    with pytest.raises(InputError, match="it is UTF-16"):
        read_profile(path)
    path.write_bytes(text.encode() + b"\n# caf\xe9\n")
    with pytest.raises(InputError, match=r"line \d+ holds the byte 0xe9"):
        read_profile(path)


def test_per_cent_in_place_of_a_share_is_told_and_loss_counts_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (PROFILES_FOLDER / "lte_good.toml").read_text().replace('id = "lte_good"', 'id = "mine"')
    path = tmp_path / "mine.toml"

    def with_loss(ratio: str) -> int:
        lines = [line for line in text.splitlines() if not line.startswith(("loss_ratio =", "loss_burst_packets ="))]
        path.write_text("\n".join(lines).replace("[down]", f"[down]\nloss_ratio = {ratio}"))
        path.write_text(path.read_text() + '\nloss_ratio = "t"\nloss_burst_packets = "t"\n')
        return run_command(["network", "show", str(path)])

    assert with_loss("1") == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "down.loss_ratio: must be a number from 0 to 0.99 (a share: 1 % is 0.01)" in said
    assert "nothing passes at 1: for 1 % write 0.01" in said
    assert with_loss("5") == ExitCode.USAGE
    assert "for 5 % write 0.05" in capsys.readouterr().err
    assert with_loss("0.45") == ExitCode.PASS
    shown = capsys.readouterr().out
    assert "not even low audio fits" in shown
    assert "55.0% of round trips survive random loss" in shown


def test_problems_are_told_in_the_words_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(
        """
        name = "x"
        max_duration_s = inf
        [matrix]
        devices = 5
        workers = 0
        backend = "netm"
        rules = [{ scenario = 3, networks = "gprs_2g", devices = [1] }]
        """
    )
    with pytest.raises(InputError) as caught:
        load_plan(str(path))
    told = {problem.key: problem for problem in caught.value.problems}
    assert told["max_duration_s"].message == "must be a number, above 0 and at most 604800 (got inf)"
    assert told["matrix.devices"].message == "must be 'all', or an array (got 5)"
    assert told["matrix.workers"].message == "must be a whole number, at least 1 and at most 64 (got 0)"
    assert told["matrix.backend"].message == "must be 'userspace', 'netem' or 'cdp' (got 'netm')"
    assert told["matrix.backend"].hint == "did you mean 'netem'?"
    assert told["matrix.rules[0].scenario"].message == "must be a string (got 3)"
    assert told["matrix.rules[0].networks"].message == "must be an array (got 'gprs_2g')"
    assert told["matrix.rules[0].devices[0]"].message == "must be a string (got 1)"
    assert set(told) == {
        "max_duration_s", "matrix.devices", "matrix.workers", "matrix.backend", "matrix.rules[0].scenario",
        "matrix.rules[0].networks", "matrix.rules[0].devices[0]",
    }  # fmt: skip
