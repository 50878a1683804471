from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from bedrock.errors import InputError
from bedrock.exit_codes import ExitCode
from bedrock.toml_input import Written, check, find_file, nearest, read_toml


class Inner(Written):
    rate_kbit: float = Field(gt=0, le=1000)


class Outer(Written):
    name: str
    link: Inner
    hops: tuple[Inner, ...] = ()


def test_every_problem_is_told_at_once_with_file_key_and_nearest_name() -> None:
    tables = {"nmae": "x", "link": {"rate_kbits": 3, "rate_kbit": -1}, "hops": [{"rate_kbit": 5}, {"rate_kbit": 5000}]}

    with pytest.raises(InputError) as caught:
        check(Outer, tables, "plan.toml")

    told = {problem.key: problem for problem in caught.value.problems}
    assert set(told) == {"name", "nmae", "link.rate_kbits", "link.rate_kbit", "hops[1].rate_kbit"}
    assert told["name"].message == "is required and missing"
    assert told["nmae"].hint == "did you mean 'name'?"
    assert told["link.rate_kbits"].hint == "did you mean 'rate_kbit'?"
    assert "a number, above 0 and at most 1000 (got 5000)" in told["hops[1].rate_kbit"].message
    assert all(problem.file == "plan.toml" for problem in caught.value.problems)
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_section_checked_alone_keeps_its_place_in_the_file() -> None:
    with pytest.raises(InputError, match=r"plan\.toml: swarm\.link: is required"):
        check(Outer, {"name": "x"}, "plan.toml", under="swarm")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "no such file"), (b"a = ", "is not valid TOML"), (b"\xff\xfe", "must be written in UTF-8")],
)
def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "plan.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=sentence):
        read_toml(path)


def test_nearest_lists_what_is_known_when_nothing_is_close() -> None:
    assert nearest("gprs", ["gprs_2g", "lte_good"]) == "did you mean 'gprs_2g'?"
    assert nearest("zzz", ["lte_good", "gprs_2g"]) == "known: gprs_2g, lte_good"


def test_a_file_is_found_by_path_or_by_the_name_of_one_that_comes_along(tmp_path: Path) -> None:
    built_in = {"smoke": tmp_path / "smoke.toml"}
    mine = tmp_path / "mine"
    mine.touch()

    assert find_file("smoke", built_in, "plan", option="--plan") == built_in["smoke"]
    assert find_file(str(mine), built_in, "plan", option="--plan") == mine
    with pytest.raises(InputError, match=r"--plan: no plan file .* 'smok' \(did you mean 'smoke'\?\)"):
        find_file("smok", built_in, "plan", option="--plan")
