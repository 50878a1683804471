"""What the doctor says of the caller's surroundings: TMPDIR, HOME, shared memory, control groups, private networks."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from bedrock.errors import EnvironmentLacks
from bedrock.user_folder import user_folder
from network_profiles.links import private_network, rootless
from ringfence.doctor import checks, preflight
from ringfence.run_plan import drop_section, load_plan


def test_a_tmpdir_that_is_passed_over_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    found = checks.check_temporary_files()
    assert found.ok
    assert found.detail.startswith(f"{user_folder()}; TMPDIR is not used: its path has ")


def test_no_place_for_temporary_files_blocks_every_tier_that_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise EnvironmentLacks("there is no place for temporary files", hint="set TMPDIR")

    monkeypatch.setattr(checks, "user_folder", refuse)
    found = checks.check_temporary_files()
    assert (found.ok, found.fix) == (False, "set TMPDIR")
    assert found.tiers == checks.SWARM | checks.BROWSER


def test_a_missing_home_is_said_and_what_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent/at/all")
    with tempfile.TemporaryDirectory(prefix="rf", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        detail = checks.check_home().detail
        assert (
            detail == f"HOME is /nonexistent/at/all, which this user cannot enter: using {user_folder()}/home instead"
        )
    monkeypatch.setenv("HOME", "/")
    assert checks.check_home().detail == "/"


def test_missing_shared_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SHARED_MEMORY", str(tmp_path / "shm"))
    found = checks.check_shared_memory()
    assert not found.ok
    assert found.fix.startswith("mount -t tmpfs")


def test_an_occupied_top_group_is_told_apart_from_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(rootless, "in_user_namespace", lambda: False)
    monkeypatch.setattr(checks.cpu_limit, "missing_prerequisites", lambda: ["the top holds processes itself"])
    monkeypatch.setattr(checks.cpu_limit, "is_occupied", lambda: True)
    assert checks.check_cpu_limit().fix == checks.EMPTY_TOP_GROUP
    monkeypatch.setattr(checks.cpu_limit, "is_occupied", lambda: False)
    assert checks.check_cpu_limit().fix.startswith("mount -t cgroup2")


def test_appium_without_a_network_of_its_own_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = drop_section(load_plan("smoke", []), "swarm")
    monkeypatch.setattr(preflight, "run_checks", list)
    monkeypatch.setattr(preflight, "chosen_backend", lambda _asked: "userspace")
    monkeypatch.setattr(private_network, "missing_prerequisite", lambda: "the kernel refuses a network namespace")
    with pytest.raises(EnvironmentLacks, match="Appium's network") as refused:
        preflight.require_prerequisites(plan)
    assert "other users of this machine could control Appium" in refused.value.hint
    preflight.require_prerequisites(plan, drivers="playwright")
    monkeypatch.setattr(private_network, "missing_prerequisite", lambda: "")
    preflight.require_prerequisites(plan)
