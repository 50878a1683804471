"""The packet path, compiled by mypyc where there is a C compiler: the same source, a quarter less CPU a call.

``python -m calls.compiled`` builds it into the user's cache. A copy is named after the digest of exactly the sources,
interpreter and compiler that made it, so a changed source is never served by an old copy: it runs interpreted, as it
does where nothing was built. Processes whose work is packets call ``use`` before they import the media package.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from calls.capacity import cache_folder

MODULES = (
    "calls.histograms",
    "calls.media.playout",
    "calls.media.rtp_header",
    "calls.media.rtp_receiver",
    "calls.media.rtp_sender",
    "calls.media.socket_hub",
    "calls.media.srtp",
    "calls.media.streams",
    "calls.media.ticker",
    "calls.media.transport",
    "calls.media.windows",
)
"""What a packet passes through."""
_ROOT = Path(__file__).parent.parent
_SUFFIX: str = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
_COPIES_KEPT = 3
_SETUP = """
from mypyc.build import mypycify
from setuptools import setup
modules = mypycify({arguments!r}, opt_level="3", debug_level="0", target_dir={target!r})
setup(name="ringfence-packets", packages=[], ext_modules=modules)
"""


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the compiled modules, and the shared library that they lean on, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name.removesuffix(_SUFFIX): str(path) for path in folder.glob(f"*{_SUFFIX}")}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        file = self._files.get(fullname)
        return importlib.util.spec_from_file_location(fullname, file) if file is not None else None


def use() -> bool:
    """Makes later imports take the compiled packet path; returns whether there is one of exactly this source.

    ``RINGFENCE_COMPILED=0`` in the environment keeps to the interpreter.
    """
    folder = _folder()
    if os.environ.get("RINGFENCE_COMPILED") == "0" or not (folder / "whole").exists():
        return False
    sys.meta_path.insert(0, _Finder(folder))
    return True


def build() -> Path | None:
    """Returns the folder of the compiled packet path, building it first (some 30 s); None when that is not possible."""
    folder = _folder()
    if (folder / "whole").exists():
        return folder
    if shutil.which(os.environ.get("CC", "cc")) is None or not _has_headers():
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        built = Path(scratch, "built")
        if not _run_compiler(Path(scratch), built):
            return None
        _flatten(built)
        (built / "whole").touch()
        with contextlib.suppress(OSError):
            built.rename(folder)
    _forget_old_copies(folder.parent)
    return folder


def _run_compiler(scratch: Path, built: Path) -> bool:
    sources = [str(_source(name).relative_to(_ROOT)) for name in MODULES]
    script = scratch / "setup.py"
    arguments = ["--strict", "--ignore-missing-imports", *sources]
    script.write_text(_SETUP.format(arguments=arguments, target=str(scratch / "c")))
    command = [sys.executable, str(script), "-q", "build_ext"]
    command += ["--build-lib", str(built), "--build-temp", str(scratch / "objects")]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "MYPY_CACHE_DIR": str(scratch / "cache")}
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print((done.stdout + done.stderr)[-2000:], file=sys.stderr)
    return done.returncode == 0


def _flatten(built: Path) -> None:
    """Names every file after its module, all in one folder."""
    for path in list(built.rglob(f"*{_SUFFIX}")):
        path.rename(built / ".".join(path.relative_to(built).parts))


def _folder() -> Path:
    digest = hashlib.sha256(f"{sys.version}{_SUFFIX}".encode())
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        digest.update(importlib.metadata.version("mypy").encode())
    for name in MODULES:
        digest.update(_source(name).read_bytes())
    return cache_folder() / "packets" / digest.hexdigest()[:24]


def _source(name: str) -> Path:
    return _ROOT.joinpath(*name.split(".")).with_suffix(".py")


def _has_headers() -> bool:
    return Path(sysconfig.get_paths()["include"], "Python.h").exists()


def _forget_old_copies(parent: Path) -> None:
    copies = sorted(
        (path for path in parent.iterdir() if (path / "whole").exists()), key=lambda path: path.stat().st_mtime
    )
    for old in copies[:-_COPIES_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    made = build()
    print(
        f"compiled packet path: {made}" if made else "no compiled packet path: it needs cc, Python.h, mypy, setuptools"
    )
