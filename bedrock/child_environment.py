"""The environment of every program that we start: what a child needs, and nothing else of who called us.

A caller's ``PYTEST_ADDOPTS``, ``LOCUST_RUN_TIME``, ``NODE_OPTIONS``, ``http_proxy``, ``PYTHONWARNINGS`` or locale would
change what a child does, and no report would say so. So names are allowed, not forbidden. A child of ours finds our
packages where we found them and never in its working directory (``PYTHONSAFEPATH``, as Python's ``-P``).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from bedrock.project import PROJECT_ROOT
from bedrock.user_folder import passed_over, user_folder

PASSED_ON = frozenset(
    {
        "PATH", "HOME", "SHELL", "TZ", "TERM", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH", "CC", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
        "PLAYWRIGHT_BROWSERS_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "ANDROID_HOME", "ANDROID_SDK_ROOT", "JAVA_HOME", "SUDO_UID", "SUDO_GID",
        # What the processor needs: without these, libraries may compute wrongly or crash on some.
        "GLIBC_TUNABLES", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NPY_DISABLE_CPU_FEATURES", "OPENSSL_ia32cap",
    }
)  # fmt: skip
OWN_PREFIX = "RINGFENCE_"
SECRETS = frozenset({"RINGFENCE_ADMIN_TOKEN"})
"""Given only to the child that needs it, by whoever starts it."""
_CHANGING = threading.Lock()
"""Another thread may start a child while our own environment is being cleaned; before and after, it reads the same."""
_FIXED = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}


def child_environment(
    added: Mapping[str, str] | None = None, *, caller: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns the environment for a child, ``added`` last. ``caller`` is whose environment is cleaned: ours."""
    theirs = _own() if caller is None else caller
    kept = {name: value for name, value in theirs.items() if _is_passed_on(name)}
    name = user_name()
    kept.update(_FIXED, USER=name, LOGNAME=name)
    kept["PATH"] = _absolute_only(theirs.get("PATH", "")) or os.defpath.lstrip(":")
    kept["PYTHONPATH"] = os.pathsep.join(
        path for path in (str(PROJECT_ROOT), _absolute_only(theirs.get("PYTHONPATH", ""))) if path
    )
    kept["HOME"] = str(home_folder(theirs))
    if passed_over():
        kept["TMPDIR"] = str(user_folder().parent)
    return {**kept, **(added or {})}


def home_folder(caller: Mapping[str, str] | None = None) -> Path:
    """Returns the user's home; a folder of ours where there is none that the user may enter.

    A made-up user id of a container has none, and who became another user may still have the first one's.
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
    """Returns the name of the user, or the number where no name is known."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@contextlib.contextmanager
def own_environment_cleaned() -> Iterator[None]:
    """Cleans our own environment for a library that starts a program and lets nobody say with what environment."""
    before = _own()
    _become(child_environment(caller=before))
    try:
        yield
    finally:
        _become(before)


def _own() -> dict[str, str]:
    with _CHANGING:
        return dict(os.environ)


def _become(wanted: Mapping[str, str]) -> None:
    with _CHANGING:
        for name in [name for name in os.environ if name not in wanted]:
            del os.environ[name]
        os.environ.update(wanted)


def _is_passed_on(name: str) -> bool:
    return name in PASSED_ON or (name.startswith(OWN_PREFIX) and name not in SECRETS)


def _absolute_only(paths: str) -> str:
    """An empty or relative entry is the working directory, or inside it: whatever somebody left there would be run."""
    return os.pathsep.join(path for path in paths.split(os.pathsep) if path.startswith("/"))
