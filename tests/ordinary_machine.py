"""An ordinary machine as it looks to an ordinary user: a TUN node of mode 0666, and a Python that may be read.

All of it is in a mount namespace of its own; the machine's device and folders stay as they are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE_ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534
ORDINARY_MACHINE = """
    set -e
    scene=$1 tun_mode=$2 python=$3 folder=$4
    shift 4
    mount -t tmpfs -o mode=755 scene "$scene"
    mknod -m "$tun_mode" "$scene/tun" c 10 200
    mount --bind "$scene/tun" /dev/net/tun
    if ! setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$python"; then
        hidden=/$(echo "$folder" | cut -d/ -f2)
        mkdir "$scene/python"
        mount --bind "$folder" "$scene/python"
        mount -t tmpfs -o mode=755 python "$hidden"
        mkdir -p "$folder"
        mount --bind "$scene/python" "$folder"
    fi
    exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@"
"""


@contextmanager
def ordinary_scene() -> Iterator[Path]:
    """A folder that becomes the machine's; removes the folder that its user was given."""
    theirs = Path("/tmp", f"ringfence-{NOBODY}")
    was_there = theirs.exists()
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
    if not was_there:
        shutil.rmtree(theirs, ignore_errors=True)


def as_nobody(
    scene: Path, *argv: str, tun_mode: str = "0666", home: str = "/nonexistent", cwd: str = "/"
) -> subprocess.CompletedProcess[str]:
    """Runs ``python argv`` as a user who is not root."""
    machine = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ORDINARY_MACHINE, "sh"]
    return subprocess.run(
        [*machine, str(scene), tun_mode, sys.executable, sys.base_prefix, sys.executable, *argv],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), "HOME": home, "PYTHONDONTWRITEBYTECODE": "1"},
    )
