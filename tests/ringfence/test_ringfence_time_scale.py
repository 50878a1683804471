"""A plan of hours, played in minutes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w

from bedrock.exit_codes import ExitCode
from ringfence.__main__ import run_command
from ringfence.errors import BadOverride
from ringfence.run_plan import PlanFile, drop_section, load_plan, scale_times


def test_a_soak_of_hours_takes_minutes_and_is_the_same_plan_on_disk() -> None:
    paced = scale_times(load_plan("soak"), 0.01)
    swarm = paced.settings.swarm
    assert swarm is not None
    assert swarm.length_s() == pytest.approx(144.6)
    assert swarm.daily is not None
    assert swarm.daily.day_s == 36
    assert 170 < paced.settings.estimated_duration_s < 230
    assert PlanFile.model_validate(tomllib.loads(tomli_w.dumps(paced.tables))) == paced.settings


def test_the_matrix_keeps_its_place_in_the_load() -> None:
    plan = load_plan("smoke").settings
    paced = scale_times(load_plan("smoke"), 0.5)
    assert plan.swarm is not None
    assert plan.matrix is not None
    assert paced.settings.swarm is not None
    assert paced.settings.matrix is not None
    stages = [stage.duration_s for stage in plan.swarm.stages]
    assert [stage.duration_s for stage in paced.settings.swarm.stages] == [length_s / 2 for length_s in stages]
    assert paced.settings.matrix.start_after_s == plan.matrix.start_after_s / 2
    assert PlanFile.model_validate(tomllib.loads(tomli_w.dumps(paced.tables))) == paced.settings


def test_steps_are_held_as_much_shorter() -> None:
    rollout = scale_times(load_plan("rollout"), 0.25).settings
    assert rollout.swarm is not None
    assert rollout.swarm.rollout is not None
    assert (rollout.swarm.rollout.hold_s, rollout.swarm.rollout.max_hold_s) == (10, 150)
    assert rollout.estimated_duration_s == pytest.approx(12 + 700 / 4)


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "100000"])
def test_a_scale_that_leaves_no_load_is_exit_2(scale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["swarm", "--plan", "soak", f"--time-scale={scale}", "--runs", str(tmp_path / "runs")]
    assert run_command(arguments) == ExitCode.USAGE
    assert "must be from 0.0001 to 1000" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_plan_without_a_load_has_no_pace() -> None:
    with pytest.raises(BadOverride, match=r"no \[swarm\] section"):
        scale_times(drop_section(load_plan("smoke"), "swarm"), 0.5)
