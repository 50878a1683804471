"""What a child hears of its caller, and that every place that starts one asks for a clean environment."""

from __future__ import annotations

import ast
import os
import pwd
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import bedrock
import calls
from bedrock import child_environment as module
from bedrock.child_environment import child_environment, home_folder, own_environment_cleaned
from bedrock.child_process import spawn
from bedrock.project import PROJECT_ROOT
from bedrock.user_cache import cache_folder
from bedrock.user_folder import user_folder

FOREIGN = {
    "PYTEST_ADDOPTS": "-k smoke",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PY_COLORS": "1",
    "FORCE_COLOR": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONIOENCODING": "ascii",
    "PYTHONHOME": "/nowhere",
    "PYTHONSTARTUP": "/nowhere/start.py",
    "LOCUST_RUN_TIME": "1",
    "NODE_OPTIONS": "--require /nowhere.js",
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "no_proxy": "example.org",
    "LD_PRELOAD": "/nowhere.so",
    "LC_ALL": "C",
    "LC_NUMERIC": "de_DE",
    "LANGUAGE": "tr",
    "BASH_ENV": "/nowhere.sh",
    "ENV": "/nowhere.sh",
    "RINGFENCE_ADMIN_TOKEN": "secret",
}
CHILD = """
import calls, json, locale, os, sys
print(json.dumps({"calls": calls.__file__, "path": sys.path, "env": dict(os.environ),
                  "encoding": sys.stdout.encoding}), flush=True)
"""
STARTERS = {
    "subprocess": {"run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
    "os": {
        "system", "popen", "execv", "execve", "execvp", "execvpe", "execl", "execle", "execlp", "spawnv", "spawnve",
        "posix_spawn", "posix_spawnp",
    },
}  # fmt: skip
THE_CALLERS_OWN = {
    ("network_profiles/links/run_command.py", "_run"),
    ("network_profiles/links/rootless.py", "enter_if_needed"),
    ("network_profiles/links/rootless.py", "main"),
}
"""A command that the user wrote, or our own command again: these are to hear what the user said."""
LIBRARY_STARTS = {"sync_playwright"}
"""Calls of libraries that start a program and take no environment."""
PACKAGES = (
    "bedrock", "network_profiles", "reference_service", "calls", "reports", "loadtests", "device_matrix", "ringfence",
)  # fmt: skip


def test_nothing_foreign_is_passed_on() -> None:
    caller = {**FOREIGN, "PATH": "/usr/bin:.::bin:/bin", "HOME": "/", "PYTHONPATH": "here::/their/own", "TZ": "UTC"}
    env = child_environment({"ADDED": "1"}, caller={**caller, "RINGFENCE_COMPILED": "0"})
    assert not [name for name in FOREIGN if name in env and env[name] == FOREIGN[name]]
    assert env["PATH"] == "/usr/bin:/bin", "no program of the working directory is run"
    assert env["PYTHONPATH"] == f"{PROJECT_ROOT}:/their/own"
    assert (env["LC_ALL"], env["PYTHONUTF8"], env["PYTHONSAFEPATH"]) == ("C.UTF-8", "1", "1")
    assert (env["ADDED"], env["RINGFENCE_COMPILED"], env["TZ"]) == ("1", "0", "UTC")


def test_a_child_finds_our_packages_and_not_those_of_its_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("calls.py", "msgspec.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('a foreign module was run')")
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", "")
    child = spawn("child", [sys.executable, "-c", CHILD], cwd=tmp_path, pipe_stdout=True, log_path=tmp_path / "log")
    try:
        said = child.wait_ready(60)
    finally:
        child.stop()
    assert said["calls"] == calls.__file__
    assert "" not in said["path"]
    assert str(tmp_path) not in said["path"]
    assert said["encoding"] == "utf-8"
    assert not [name for name in FOREIGN if said["env"].get(name) == FOREIGN[name]]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TMPDIR as short as one has to be, with our folder in it."""
    with tempfile.TemporaryDirectory(prefix="rf", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def test_who_has_no_home_gets_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_user(_uid: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(module.pwd, "getpwuid", no_such_user)
    for home in (None, "", "relative", "/nonexistent/at/all"):
        if home is None:
            monkeypatch.delenv("HOME", raising=False)
        else:
            monkeypatch.setenv("HOME", home)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        assert place in home_folder().parents
        assert home_folder() == user_folder() / "home"
        assert cache_folder() == user_folder() / "home" / ".cache" / "ringfence"
        env = child_environment()
        assert (env["HOME"], env["LOGNAME"]) == (str(user_folder() / "home"), str(os.geteuid()))


def test_our_own_environment_is_clean_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_OPTIONS", "--require /nowhere.js")
    before = dict(os.environ)
    with own_environment_cleaned():
        assert dict(os.environ) == child_environment(caller=before)
        assert "NODE_OPTIONS" not in os.environ
    assert dict(os.environ) == before


def test_every_place_that_starts_a_child_gives_it_a_clean_environment() -> None:
    found = list(_starts())
    assert len(found) > 8, "the search finds the places"
    assert {place for place, is_clean in found if not is_clean} == THE_CALLERS_OWN


def _starts() -> Iterator[tuple[tuple[str, str], bool]]:
    """Every place that starts a program, as file and function, and whether it asks for a clean environment."""
    root = Path(bedrock.__file__).parent.parent
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield from _starts_in(path, str(path.relative_to(root)))


def _starts_in(path: Path, name: str) -> Iterator[tuple[tuple[str, str], bool]]:
    tree = ast.parse(path.read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in STARTERS
        for alias in node.names
    }
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not (how := _starter(node, imported)):
            continue
        inside = [one for one in functions if one.lineno <= node.lineno <= (one.end_lineno or 0)]
        function = max(inside, key=lambda one: one.lineno, default=None)
        around = ast.unparse(function if function is not None else tree)
        wanted = "own_environment_cleaned()" if how in LIBRARY_STARTS else "child_environment("
        keyword = next((one for one in node.keywords if one.arg == "env"), None)
        is_clean = wanted in around and (how in LIBRARY_STARTS or keyword is not None)
        yield (name, function.name if function is not None else ""), is_clean


def _starter(node: ast.Call, imported: set[str]) -> str:
    called = node.func
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return called.attr if called.attr in STARTERS.get(called.value.id, ()) else ""
    if isinstance(called, ast.Name):
        known = called.id in imported and any(called.id in names for names in STARTERS.values())
        return called.id if known or called.id in LIBRARY_STARTS else ""
    return ""
