from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ordinary_machine import as_nobody, ordinary_scene
from real_links import link_devices, needs_links, stays_after
from waiting import eventually

from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.links import rootless

pytestmark = [needs_links, pytest.mark.integration]


@pytest.fixture
def scene() -> Iterator[Path]:
    with ordinary_scene() as folder:
        yield folder


def test_an_ordinary_user_runs_a_command_behind_a_link(scene: Path) -> None:
    devices = link_devices()
    script = "ping -n -c 1 $RINGFENCE_FAR_END; exit 7"
    times_ms: list[float] = []

    def is_prompt() -> bool:
        done = as_nobody(scene, "-m", "ringfence", "network", "exec", "lte_good", "--", "sh", "-c", script)
        assert done.returncode == 7, done.stderr
        times_ms.append(float(done.stdout.partition("time=")[2].partition(" ms")[0]))
        return times_ms[-1] < 120

    assert eventually(is_prompt), times_ms
    assert min(times_ms) > 45
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
