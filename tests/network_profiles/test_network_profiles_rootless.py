from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_links import link_devices, needs_links, stays_after

from network_profiles import rootless
from network_profiles.addresses import CLAIMS_FOLDERS
from network_profiles.errors import LinkCannotBeBuilt

pytestmark = [needs_links, pytest.mark.integration]

NOBODY = "65534"
PACKAGE_ROOT = Path(rootless.__file__).resolve().parent.parent
# As an ordinary machine looks to an ordinary user: a TUN node of mode 0666, and a Python that may be read. All of it
# is in a mount namespace of its own; the machine's device and folders stay as they are.
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


@pytest.fixture
def scene() -> Iterator[Path]:
    claims = CLAIMS_FOLDERS[-1]
    was_there = claims.exists()
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
    if claims.exists() and not was_there:
        claims.rmdir()


def as_nobody(scene: Path, *argv: str, tun_mode: str = "0666") -> subprocess.CompletedProcess[str]:
    """Runs ``python argv`` as a user who is not root."""
    machine = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ORDINARY_MACHINE, "sh"]
    return subprocess.run(
        [*machine, str(scene), tun_mode, sys.executable, sys.base_prefix, sys.executable, *argv],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_an_ordinary_user_runs_a_command_behind_a_link(scene: Path) -> None:
    devices = link_devices()
    script = "ping -n -c 1 $RINGFENCE_FAR_END; exit 7"
    done = as_nobody(scene, "-m", "ringfence", "network", "exec", "lte_good", "--", "sh", "-c", script)
    assert done.returncode == 7, done.stderr
    assert 45 < float(done.stdout.partition("time=")[2].partition(" ms")[0]) < 120
    assert not stays_after(devices)


def test_an_ordinary_user_who_may_not_open_tun_is_told_so(scene: Path) -> None:
    argv = ["-m", "ringfence", "network", "exec", "lte_good", "--backend", "userspace", "--", "true"]
    done = as_nobody(scene, *argv, tun_mode="0600")
    assert done.returncode == 5
    assert "/dev/net/tun may not be opened by this user" in done.stderr.replace("\n", " ")


def test_a_kernel_that_refuses_user_namespaces_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert shutil.which("unshare") == str(refusing)
    with pytest.raises(LinkCannotBeBuilt, match=r"refuses user namespaces .*Operation not permitted"):
        rootless.enter_if_needed(["true"])


def test_root_needs_no_namespace_of_its_own() -> None:
    rootless.enter_if_needed(["never-started"])
