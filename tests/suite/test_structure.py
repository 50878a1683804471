"""Every kind of bad structure is found where it stands, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import structure
from structure import Rules, check

RULES = Rules(50, 400, frozenset({"utils", "manager"}), long_files={}, long_functions={})


def plant(root: Path, **sources: str) -> None:
    """Writes modules; a name's ``__`` is a folder's end, and ``X__init`` a package's own file."""
    for name, source in sources.items():
        path = root / "pkg" / (name.replace("__", "/").replace("/init", "/__init__") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")


def problems(root: Path, rules: Rules = RULES) -> list[str]:
    return [f"{finding.place}: {finding.problem}" for finding in check(root, ["pkg"], rules)]


def function(lines: int, name: str = "f") -> str:
    return f"def {name}():\n" + "    a = 1\n" * (lines - 1)


def test_a_class_name_in_two_modules_is_found_in_both(tmp_path: Path) -> None:
    plant(tmp_path, a="class Step: ...\n", room__b="\nclass Step: ...\n")
    assert problems(tmp_path) == [
        "pkg/a.py:1: class Step stands in another module, too: pkg/room/b.py:2",
        "pkg/room/b.py:2: class Step stands in another module, too: pkg/a.py:1",
    ]


def test_private_and_inner_classes_may_share_a_name(tmp_path: Path) -> None:
    plant(tmp_path, a="class _Step: ...\nclass A:\n    class Step: ...\n", b="class _Step: ...\nclass Step: ...\n")
    assert problems(tmp_path) == []


def test_a_function_of_51_lines_is_found_and_one_of_50_is_not(tmp_path: Path) -> None:
    plant(tmp_path, a=function(50) + function(51, "g"))
    assert problems(tmp_path) == ["pkg/a.py:51: function g has 51 lines (allowed 50)"]


def test_a_method_and_an_async_function_count_too(tmp_path: Path) -> None:
    method = "class A:\n" + "".join(f"    {line}\n" for line in function(51).splitlines())
    plant(tmp_path, a=method, b="async " + function(51))
    assert len(problems(tmp_path)) == 2


@pytest.mark.parametrize(
    "back",
    [
        "from pkg.a import f\n",
        "import pkg.a\n",
        "from pkg import a\n",
        "from .a import f\n",
        "def g():\n    from pkg.a import f\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg.a import f\n",
    ],
)
def test_a_circle_of_any_kind_of_import_is_found(tmp_path: Path, back: str) -> None:
    plant(tmp_path, a="from pkg.b import g\n", b=back)
    assert problems(tmp_path) == [
        f"pkg/a.py:1: imports go in a circle: pkg/a.py:1 imports pkg.b; pkg/b.py:{back.count(chr(10))} imports pkg.a"
    ]


def test_a_long_circle_is_told_whole(tmp_path: Path) -> None:
    plant(tmp_path, a="import pkg.b\n", b="import pkg.c\n", c="import pkg.d\n", d="import pkg.b\n")
    assert problems(tmp_path)[0] == (
        "pkg/b.py:1: imports go in a circle: pkg/b.py:1 imports pkg.c; pkg/c.py:1 imports pkg.d; "
        "pkg/d.py:1 imports pkg.b"
    )


def test_folders_that_import_each_other_are_a_circle_though_their_modules_are_none(tmp_path: Path) -> None:
    plant(tmp_path, x__a="import pkg.y.b\n", x__c="", y__b="", y__d="import pkg.x.c\n")
    assert problems(tmp_path) == [
        "pkg/x/a.py:1: imports go in a circle: pkg/x/a.py:1 imports pkg.y.b; pkg/y/d.py:1 imports pkg.x.c"
    ]


def test_a_package_that_shows_what_its_modules_hold_is_no_circle(tmp_path: Path) -> None:
    plant(
        tmp_path, x__init="from pkg.x.a import f\n", x__a="from pkg.x.b import g\n", x__b="", c="from pkg.x import f\n"
    )
    assert problems(tmp_path) == []


def test_a_module_that_imports_from_its_own_package_is_a_circle(tmp_path: Path) -> None:
    plant(tmp_path, x__init="from pkg.x.a import f\n", x__a="from pkg.x import f\n")
    assert len(problems(tmp_path)) == 1


def test_a_file_of_401_lines_is_found_unless_it_is_excused(tmp_path: Path) -> None:
    plant(tmp_path, a="a = 1\n" * 401, b="a = 1\n" * 400)
    assert problems(tmp_path) == ["pkg/a.py:1: the file has 401 lines (allowed 400)"]
    assert problems(tmp_path, Rules(50, 400, frozenset(), {"pkg/a.py": "a table"}, {})) == []


def test_an_excuse_that_excuses_nothing_is_found(tmp_path: Path) -> None:
    plant(tmp_path, a="a = 1\n", b=function(51))
    rules = Rules(50, 400, frozenset(), {"pkg/a.py": "a table"}, {"pkg.b.f": "a table", "pkg.a.f": "a table"})
    assert problems(tmp_path, rules) == [
        "tests/suite/structure.toml: pkg/a.py needs no excuse any more",
        "tests/suite/structure.toml: pkg.a.f needs no excuse any more",
    ]


def test_names_that_say_nothing_are_refused(tmp_path: Path) -> None:
    plant(tmp_path, utils="", task_manager="", managers_of_time="", manager__init="", manager__a="")
    assert [problem.split(":")[0] for problem in problems(tmp_path)] == [
        "pkg/manager/__init__.py",
        "pkg/task_manager.py",
        "pkg/utils.py",
    ]


def test_installed_packages_are_not_read(tmp_path: Path) -> None:
    plant(tmp_path, node_modules__utils="a = 1\n" * 500)
    assert problems(tmp_path) == []


def test_every_excuse_of_this_repository_gives_a_reason() -> None:
    rules = structure.read_rules()
    assert all(reason.strip() for reason in [*rules.long_files.values(), *rules.long_functions.values()])
