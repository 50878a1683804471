"""A plan that this machine cannot carry is refused before anything is started, with the numbers that say why."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedrock.errors import EnvironmentLacks
from calls.bench.capacity import Capacity, save_capacity
from calls.bench.machine import this_machine
from ringfence.__main__ import run_command
from ringfence.doctor.capacity_check import refuse_overload, require_capacity
from ringfence.run_plan import drop_section, load_plan


def bench(calls: int = 300, setups: float = 50.0, machine: str = "") -> Capacity:
    return Capacity(
        machine=machine or this_machine().fingerprint, calls_per_core=calls, video_calls_per_core=None,
        setups_per_s_core=setups, at_s=1.0,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def refusal(capacity: Capacity, cores: int, *changes: str) -> EnvironmentLacks:
    with pytest.raises(EnvironmentLacks) as caught:
        refuse_overload(load_plan("smoke", list(changes)), capacity, cores)
    return caught.value


def test_what_is_carried_is_not_refused() -> None:
    refuse_overload(load_plan("smoke"), bench(calls=63), cores=2)  # 125 calls on two cores


def test_more_calls_than_the_cores_carry_are_refused_with_the_numbers() -> None:
    error = refusal(bench(calls=50), 2)
    assert error.message == (
        "the plan 'smoke' asks for 125 calls at once from 2 workers, and this machine was last measured to carry "
        "50 calls a core: 100 on 2 of 2 cores"
    )
    assert "it needs 3 cores" in error.hint
    assert "--force" in error.hint
    assert error.exit_code == 5


def test_cores_without_a_worker_carry_nothing() -> None:
    error = refusal(bench(calls=50), 8)
    assert "100 on 2 of 8 cores" in error.message
    assert error.hint.startswith("set swarm.workers = 3")


def test_short_calls_are_refused_for_their_set_ups() -> None:
    error = refusal(bench(setups=2.0), 2, "swarm.talk_s={median=2, sigma=0.1, min=1, max=4}", "swarm.people=900")
    assert "asks for 6" in error.message  # some 125 calls / 2 s
    assert "set-ups a second" in error.message


def test_the_peak_of_a_shape_counts() -> None:
    table = "swarm.rollout={peak_calls=170}"
    error = refusal(bench(calls=80), 2, 'swarm.shape="rollout"', table, "swarm.stages=[]", "swarm.people=900")
    assert "asks for 170 calls at once" in error.message


def test_without_a_bench_there_is_advice_and_no_refusal() -> None:
    assert "run 'ringfence bench media'" in require_capacity(load_plan("smoke"))
    save_capacity(bench(calls=1, machine="another machine"))
    assert "no measurement" in require_capacity(load_plan("smoke"))
    assert require_capacity(drop_section(load_plan("smoke"), "swarm")) == ""


@pytest.mark.parametrize("command", ["run", "swarm"])
def test_the_commands_refuse_before_they_make_anything(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_capacity(bench(calls=5))
    assert run_command([command, "--plan", "smoke", "--runs", str(tmp_path / "runs")]) == 5
    said = " ".join(capsys.readouterr().err.split())
    assert "asks for 125 calls at once from 2 workers" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["run", "swarm"])
def test_force_goes_past_the_refusal(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def next_check(plan: object, **_options: object) -> None:
        raise EnvironmentLacks("what comes after the capacity")

    monkeypatch.setattr("ringfence.cli.run.require_prerequisites", next_check)
    save_capacity(bench(calls=5))
    assert run_command([command, "--plan", "smoke", "--runs", str(tmp_path / "runs"), "--force"]) == 5
    assert "what comes after the capacity" in capsys.readouterr().err
