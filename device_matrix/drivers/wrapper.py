"""Writes the wrapper scripts through which a driver starts a browser or chromedriver.

A driver can be told only the path of a browser. The wrapper joins the CPU group, enters the shaped link's namespace,
and then becomes the browser by exec. So descriptors 3 and 4 (the debugging pipe) and the process id stay the same, and
no control port has to cross the namespace. The parent-death signal survives exec: a browser never outlives its driver.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

BROWSER_WRAPPER = "browser"
CHROMEDRIVER_WRAPPER = "chromedriver"


def write_browser_wrapper(
    folder: Path,
    *,
    browser: str,
    exec_prefix: Sequence[str],
    join_paths: Sequence[Path],
    environment: Mapping[str, str],
    first_page: str = "",
) -> Path:
    """Writes the wrapper of one device's browser; it opens ``first_page`` if given. Returns its path."""
    joins = "".join(f"echo 0 > {shlex.quote(str(path))} || exit 126\n" for path in join_paths)
    command = shlex.join(["setpriv", "--pdeathsig", "KILL", "--", *exec_prefix, browser])
    page = f" {shlex.quote(first_page)}" if first_page else ""
    return _write(folder / BROWSER_WRAPPER, f'{joins}{_exports(environment)}exec {command} "$@"{page}\n')


def write_chromedriver_wrapper(folder: Path, *, chromedriver: str, environment: Mapping[str, str]) -> Path:
    """Writes the wrapper of a session's chromedriver, which would outlive a killed Appium. Returns its path."""
    command = shlex.join(["setpriv", "--pdeathsig", "KILL", "--", chromedriver])
    return _write(folder / CHROMEDRIVER_WRAPPER, f'{_exports(environment)}exec {command} "$@"\n')


def _exports(environment: Mapping[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environment.items()))


def _write(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}", encoding="utf-8")
    path.chmod(0o700)
    return path
