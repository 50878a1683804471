"""Hooks before a commit use our own tools and fetch nothing; every package says that it has types."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parent.parent.parent


def test_every_hook_is_local_and_its_command_stands_in_this_project() -> None:
    configuration = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in configuration["repos"]] == ["local"]
    (repository,) = configuration["repos"]
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        files = [word for word in shlex.split(hook["entry"]) if "/" in word]
        assert files
        assert all((PROJECT / file).exists() for file in files), hook


def test_every_package_says_that_it_has_types() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert [package for package in packages if not (PROJECT / package / "py.typed").exists()] == []
