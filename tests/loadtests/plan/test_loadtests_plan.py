from __future__ import annotations

from pathlib import Path

import pytest

from bedrock.errors import InputError
from loadtests.plan.swarm_plan import LoadPlan, built_in_plans, load_plan

GOOD = """
name = "try"
seed = 5
[swarm]
people = 60
mix = "emerging_smoke"
talk_s = { median = 10, min = 5, max = 20 }
[[swarm.stages]]
name = "ramp"
duration_s = 10
concurrent_calls = 20
[[swarm.stages]]
name = "hold"
duration_s = 0
concurrent_calls = 5
"""


def plan_of(tmp_path: Path, text: str) -> LoadPlan:
    file = tmp_path / "plan.toml"
    file.write_text(text)
    return load_plan(str(file))


def test_every_built_in_plan_with_a_swarm_reads() -> None:
    for name, path in built_in_plans().items():
        if "[swarm]" in path.read_text():
            assert load_plan(name).swarm.people > 0


def test_stages_are_found_by_time(tmp_path: Path) -> None:
    swarm = plan_of(tmp_path, GOOD).swarm
    assert [swarm.stage_at(at_s) for at_s in (0, 9.9, 10, 5000)] == ["ramp", "ramp", "hold", "hold"]
    assert swarm.length_s() is None
    assert swarm.effective_drain_s == 35


def test_sections_of_other_parts_are_left_alone(tmp_path: Path) -> None:
    assert plan_of(tmp_path, GOOD + '[matrix]\nworkers = "many"\n').seed == 5


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    wrong = (
        GOOD.replace("emerging_smoke", "emergin_smoke")
        .replace("people = 60", 'people = "x"\npeple = 3')
        .replace("median = 10", "median = 100")
        .replace("duration_s = 10", "duration_s = 0")
        + "[service]\nanswer_delay = 3\n"
    )
    with pytest.raises(InputError) as caught:
        plan_of(tmp_path, wrong)
    text = str(caught.value)
    for expected in (
        "swarm.people:",
        "swarm.peple: unknown key (did you mean 'people'?)",
        "swarm.mix: unknown mix 'emergin_smoke' (did you mean 'emerging_smoke'?)",
        "swarm.talk_s: must keep min <= median <= max",
        "only the last stage may have duration_s = 0",
        "service.answer_delay: unknown key (did you mean 'answer_delay_ms'?)",
    ):
        assert expected in text
    assert text.count("plan.toml") == len(caught.value.problems) == 6


def test_too_few_people_for_the_calls_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 60 are needed"):
        plan_of(tmp_path, GOOD.replace("people = 60", "people = 40"))


def test_two_stages_of_one_name_are_a_problem(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="every stage needs a name of its own, and 'ramp' is there twice"):
        plan_of(tmp_path, GOOD.replace('"hold"', '"ramp"'))


def test_a_plan_without_a_load_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this plan describes no load"):
        plan_of(tmp_path, 'name = "x"')


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'default'"):
        load_plan("defualt")


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_plan(str(tmp_path / "none.toml"))


def test_short_calls_need_more_people_than_long_ones(tmp_path: Path) -> None:
    """20 calls of 1 s: 20 a second, each keeping two people for 3.5 s, and a fifth to spare."""
    short = GOOD.replace("median = 10, min = 5, max = 20", "median = 1, sigma = 0, min = 1, max = 1")
    with pytest.raises(InputError, match="60 people cannot hold 20 calls at once: at least 168 are needed"):
        plan_of(tmp_path, short)
    assert plan_of(tmp_path, short.replace("people = 60", "people = 168")).swarm.people == 168
