"""Builds the environment of every program that we start: what a child needs, and nothing else of the caller's.

A caller's ``PYTEST_ADDOPTS``, ``LOCUST_RUN_TIME``, ``NODE_OPTIONS``, ``http_proxy``, ``PYTHONWARNINGS`` or locale would
change what a child does, and no report would say so. So only listed names pass. A child of ours finds our packages
where we found them, never in its working directory (``PYTHONSAFEPATH``, like Python's ``-P``).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from bedrock.project import PROJECT_ROOT
from bedrock.user_folder import tmpdir_problem, user_folder

PASSED_ON = frozenset(
    {
        "PATH", "HOME", "SHELL", "TZ", "TERM", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH", "CC", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
        "PLAYWRIGHT_BROWSERS_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "ANDROID_HOME", "ANDROID_SDK_ROOT", "JAVA_HOME", "SUDO_UID", "SUDO_GID",
        # Settings of the processor: without them, libraries may compute wrongly or crash on some machines.
        "GLIBC_TUNABLES", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NPY_DISABLE_CPU_FEATURES", "OPENSSL_ia32cap",
    }
)  # fmt: skip
OWN_PREFIX = "RINGFENCE_"
SECRETS = frozenset({"RINGFENCE_ADMIN_TOKEN"})
"""Passed only to the child that needs them, by whoever starts it."""
_CHANGING = threading.Lock()
"""Another thread may start a child while our own environment is being cleaned. It must see the old or the new one."""
_FIXED = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}


def child_environment(
    added: Mapping[str, str] | None = None, *, caller: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns the environment for a child, with ``added`` last. ``caller`` is the environment to clean; default:
    ours.
    """
    theirs = _own_environment() if caller is None else caller
    kept = {name: value for name, value in theirs.items() if _is_passed_on(name)}
    name = user_name()
    kept.update(_FIXED, USER=name, LOGNAME=name)
    kept["PATH"] = _absolute_only(theirs.get("PATH", "")) or os.defpath.lstrip(":")
    kept["PYTHONPATH"] = os.pathsep.join(
        path for path in (str(PROJECT_ROOT), _absolute_only(theirs.get("PYTHONPATH", ""))) if path
    )
    kept["HOME"] = str(home_folder(theirs))
    if tmpdir_problem():
        kept["TMPDIR"] = str(user_folder().parent)
    return {**kept, **(added or {})}


def home_folder(caller: Mapping[str, str] | None = None) -> Path:
    """Returns the user's home folder, or a folder of ours where the user has none or may not enter it.

    An arbitrary user id in a container has none. A process that changed its user may still have the first user's.
    """
    named = (os.environ if caller is None else caller).get("HOME", "")
    if not named:
        with contextlib.suppress(KeyError):
            named = pwd.getpwuid(os.geteuid()).pw_dir
    if named.startswith("/") and os.path.isdir(named) and os.access(named, os.R_OK | os.X_OK):
        return Path(named)
    home = user_folder() / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def user_name() -> str:
    """Returns the name of the user, or the user id where no name is known."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@contextlib.contextmanager
def own_environment_cleaned() -> Iterator[None]:
    """Cleans our own environment during the block, for a library that starts a program without letting us choose."""
    before = _own_environment()
    _replace_environment(child_environment(caller=before))
    try:
        yield
    finally:
        _replace_environment(before)


def _own_environment() -> dict[str, str]:
    with _CHANGING:
        return dict(os.environ)


def _replace_environment(wanted: Mapping[str, str]) -> None:
    with _CHANGING:
        for name in [name for name in os.environ if name not in wanted]:
            del os.environ[name]
        os.environ.update(wanted)


def _is_passed_on(name: str) -> bool:
    return name in PASSED_ON or (name.startswith(OWN_PREFIX) and name not in SECRETS)


def _absolute_only(paths: str) -> str:
    """Drops empty and relative entries. They mean the working directory, and programs left there would be run."""
    return os.pathsep.join(path for path in paths.split(os.pathsep) if path.startswith("/"))
