"""Compiles sets of our modules with mypyc where there is a C compiler: the same source, at less CPU.

A set is built into the user's cache. A copy is named after the digest of its sources, interpreter and compiler. So a
changed source never uses an old copy: it runs interpreted, as it does where nothing was built. ``RINGFENCE_COMPILED=0``
in the environment disables all copies.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bedrock.compiled_finder import SUFFIX, serve_from
from bedrock.environment_input import COMPILED, switch
from bedrock.project import PROJECT_ROOT
from bedrock.short_command import run_and_read
from bedrock.user_cache import cache_folder

_WHOLE = "whole"
"""Written into a folder last; a folder without it is incomplete."""
_COPIES_KEPT = 3
_SETUP = """
from mypyc.build import mypycify
from setuptools import setup
modules = mypycify({arguments!r}, opt_level="3", debug_level="0", target_dir={target!r})
setup(name={name!r}, packages=[], ext_modules=modules)
"""


@dataclass(frozen=True, slots=True)
class CompiledSet:
    """Modules that are compiled together, so that calls between them cost almost nothing."""

    name: str
    modules: tuple[str, ...]
    """Full names. Do not import a module of the set before ``use``."""
    root: Path = PROJECT_ROOT
    """The folder of the top packages."""

    def use(self) -> bool:
        """Makes later imports use the compiled modules; returns whether there is a copy of exactly this source."""
        folder = self.find()
        if folder is None:
            return False
        serve_from(str(folder))
        return True

    def find(self) -> Path | None:
        """Returns the folder of the copy of exactly this source; None without one, or when copies are disabled."""
        if not switch(COMPILED, default=True):
            return None
        folder = self._folder()
        # os.path: an unreadable cache counts as one without a copy and is no error.
        return folder if os.path.exists(folder / _WHOLE) else None

    def build(self) -> Path | None:
        """Returns the folder of the copy; builds it first if needed (about 30 s). None when that is not possible."""
        folder = self._folder()
        if (folder / _WHOLE).exists():
            return folder
        if shutil.which(os.environ.get("CC", "cc")) is None or not _has_headers():
            return None
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            built = Path(scratch, "built")
            if not self._compile(Path(scratch), built):
                return None
            _flatten(built)
            (built / _WHOLE).touch()
            with contextlib.suppress(OSError):
                built.rename(folder)
        _forget_old_copies(folder.parent)
        return folder

    def build_and_report(self) -> None:
        """Builds, and prints where the copy is or what is missing."""
        made = self.build()
        lacks = (
            "not built: it needs cc, Python.h, mypy and setuptools; ringfence works, but runs interpreted and slower"
        )
        print(f"compiled {self.name}: {made or lacks}")

    def _compile(self, scratch: Path, built: Path) -> bool:
        sources = [str(self._source(name).relative_to(self.root)) for name in self.modules]
        script = scratch / "setup.py"
        arguments = ["--strict", "--ignore-missing-imports", *sources]
        script.write_text(_SETUP.format(arguments=arguments, target=str(scratch / "c"), name=f"ringfence-{self.name}"))
        command = [sys.executable, str(script), "-q", "build_ext"]
        command += ["--build-lib", str(built), "--build-temp", str(scratch / "objects")]
        environment = {"PYTHONPATH": str(self.root), "MYPY_CACHE_DIR": str(scratch / "cache")}
        done = run_and_read(command, cwd=self.root, environment=environment)
        if done.returncode:
            print((done.stdout + done.stderr)[-2000:], file=sys.stderr)
        return done.returncode == 0

    def _folder(self) -> Path:
        digest = hashlib.sha256(f"{sys.version}{SUFFIX}".encode())
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            digest.update(importlib.metadata.version("mypy").encode())
        for name in self.modules:
            digest.update(self._source(name).read_bytes())
        return cache_folder() / self.name / digest.hexdigest()[:24]

    def _source(self, name: str) -> Path:
        return self.root.joinpath(*name.split(".")).with_suffix(".py")


def _flatten(built: Path) -> None:
    """Renames every file to its module's full name, all in one folder."""
    for path in list(built.rglob(f"*{SUFFIX}")):
        path.rename(built / ".".join(path.relative_to(built).parts))


def _has_headers() -> bool:
    return Path(sysconfig.get_paths()["include"], "Python.h").exists()


def _forget_old_copies(parent: Path) -> None:
    copies = sorted(
        (path for path in parent.iterdir() if (path / _WHOLE).exists()), key=lambda path: path.stat().st_mtime
    )
    for old in copies[:-_COPIES_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
