"""Allows links without root: runs the whole command again as root of its own user namespace.

Linux lets any user own network namespaces that way, unless the machine's owner forbids it. Nothing inside can be
reached from outside. The far end of a link is inside too, so the command itself must start the server for it.

``python -m network_profiles.links.rootless COMMAND …`` is the first program in the namespace. It brings loopback up,
mounts a folder for address claims that only this namespace sees, and then becomes COMMAND.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from bedrock import crash
from bedrock.child_environment import user_name
from bedrock.exit_codes import ExitCode
from bedrock.project import PROJECT_ROOT
from bedrock.short_command import run_and_read
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links.addresses import claims_folder
from network_profiles.links.interfaces import bring_loopback_up

_UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--mount", "--")
_TUN = Path("/dev/net/tun")
_UID_MAP = Path("/proc/self/uid_map")
_LIBC = ctypes.CDLL(None, use_errno=True)


def enter_if_needed(command: Sequence[str]) -> None:
    """Runs ``command`` anew inside its own user namespace, in place of this process; returns at once for root.

    Raises LinkCannotBeBuilt with every reason why this user cannot have links on this machine.
    """
    if os.geteuid() == 0:
        return
    missing = missing_prerequisites()
    if missing:
        sentence = "without root, links cannot be built here: " + "; ".join(missing)
        raise LinkCannotBeBuilt(sentence, hint="run it with sudo", missing=missing)
    path = os.pathsep.join([str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")])
    inner = [*_UNSHARE, sys.executable, "-P", "-m", "network_profiles.links.rootless", *command]
    # Programs name files after their user. Inside we are 'root', whose files belong to somebody else.
    os.execvpe(inner[0], inner, {**os.environ, "PYTHONPATH": path, "LOGNAME": user_name()})


def in_user_namespace() -> bool:
    """Whether this process is in a user namespace: its root is not the machine's, as in a rootless container."""
    try:
        whole_machine = _UID_MAP.read_text(encoding="utf-8").split() == ["0", "0", "4294967295"]
    except OSError:  # a kernel without user namespaces
        return False
    return not whole_machine


def network_scope() -> str:
    """Returns where our networks are: ``machine``, or ``user_namespace``."""
    return "user_namespace" if in_user_namespace() else "machine"


def missing_prerequisites() -> list[str]:
    """Returns one sentence for each thing that a user without root lacks for links; empty when none."""
    missing = []
    try:
        tried = run_and_read([*_UNSHARE, "true"])
    except FileNotFoundError:
        missing.append("'unshare' is not on this machine (apt-get install util-linux)")
    else:
        if tried.returncode != 0:
            why = tried.stderr.strip().splitlines()[-1:] or ["no reason given"]
            missing.append(
                f"the kernel refuses user namespaces ({why[0]}; see the sysctls user.max_user_namespaces, "
                "kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns)"
            )
    if not _TUN.exists():
        missing.append(f"there is no {_TUN} (modprobe tun; in a container: --device {_TUN})")
    elif not os.access(_TUN, os.R_OK | os.W_OK):
        missing.append(f"{_TUN} may not be opened by this user (most distributions give it mode 0666)")
    return missing


def main() -> None:
    """Prepares the new namespace, then becomes the command named."""
    bring_loopback_up()
    _hide_claims_of_others()
    theirs = os.environ.pop("PYTHONPATH", "").partition(os.pathsep)[
        2
    ]  # enter_if_needed put our path first, for this program only
    if theirs:
        os.environ["PYTHONPATH"] = theirs
    os.execvp(sys.argv[1], sys.argv[1:])


def _hide_claims_of_others() -> None:
    """Hides the claims of other processes: their addresses and ours are in different networks."""
    try:
        folder = claims_folder()
    except LinkCannotBeBuilt as error:
        _leave(f"{error.message} ({error.hint})")
    if _LIBC.mount(b"ringfence", os.fsencode(folder), b"tmpfs", 0, b"mode=700") != 0:
        number = ctypes.get_errno()
        _leave(f"nothing can be mounted on {folder}: {os.strerror(number)}")


def _leave(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise SystemExit(int(ExitCode.ENVIRONMENT))


if __name__ == "__main__":
    with crash.reporting("network_profiles.links.rootless"):
        main()
