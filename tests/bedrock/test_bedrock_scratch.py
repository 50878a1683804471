"""The user's own folder and the scratch folders in it: nobody else's way in, and nothing of a dead owner left."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedrock import scratch, user_folder
from bedrock.child_environment import child_environment
from bedrock.scratch import ScratchFolder, keep, scratch_folder, sweep_scratch
from bedrock.user_folder import place_problem, tmpdir_problem, user_id

OWNER = """
    from bedrock.scratch import ScratchFolder
    folder = ScratchFolder()
    (folder.path / "engine.sock").touch()
    print(folder.path, flush=True)
    input()
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to somebody else")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TMPDIR as short as one has to be."""
    with tempfile.TemporaryDirectory(prefix="rf", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def test_the_folder_is_the_users_alone_and_the_same_for_every_process(place: Path) -> None:
    folder = user_folder.user_folder()
    assert folder == place / f"ringfence-{user_id()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again = subprocess.run(
        [sys.executable, "-c", "from bedrock.user_folder import user_folder; print(user_folder())"],
        env=child_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert again.stdout.strip() == str(folder)


@needs_root
def test_who_takes_the_name_first_locks_nobody_out(place: Path) -> None:
    taken = place / f"ringfence-{user_id()}"
    taken.mkdir(mode=0o700)
    os.chown(taken, 65534, 65534)
    ours = user_folder.user_folder()
    assert ours != taken
    assert ours.parent == place
    assert user_folder.user_folder() == ours, "the next process finds it"


@pytest.mark.parametrize("kind", ["symlink", "file", "open to all", "dangling symlink"])
def test_a_name_that_was_prepared_for_us_is_not_used(place: Path, kind: str) -> None:
    trap, target = place / f"ringfence-{user_id()}", place / "elsewhere"
    if kind == "symlink":
        target.mkdir(mode=0o700)
        trap.symlink_to(target)
    elif kind == "dangling symlink":
        trap.symlink_to(target)
    elif kind == "file":
        trap.touch()
    else:
        trap.mkdir()
        trap.chmod(0o777)
    with scratch_folder() as folder:
        assert trap not in folder.parents
        assert target not in folder.resolve().parents
    assert not target.exists() or not list(target.iterdir())


def test_a_path_too_long_for_sockets_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    assert f"has {len(str(long))} bytes (allowed" in tmpdir_problem()
    with scratch_folder() as folder:
        assert long not in folder.parents
        inside = folder / ".org.chromium.Chromium.abcdef" / "SingletonSocket"
        assert len(os.fsencode(inside)) <= user_folder.LONGEST_SOCKET_PATH_BYTES


def test_a_place_where_anybody_may_rename_our_folder_is_passed_over(place: Path) -> None:
    place.chmod(0o777)
    assert "not sticky" in tmpdir_problem()
    place.chmod(0o1777)
    assert tmpdir_problem() == ""
    place.chmod(0o700)
    assert tmpdir_problem() == ""


@needs_root
def test_a_place_where_no_program_may_run_is_passed_over(place: Path) -> None:
    script = 'mount -t tmpfs -o noexec none "$0" && exec "$1" -c "$2"'
    asking = (
        "from bedrock.user_folder import tmpdir_problem, user_folder; print(user_folder()); print(tmpdir_problem())"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(place), sys.executable, asking],
        env=child_environment({"TMPDIR": str(place)}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0 and "unshare" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr}")
    folder, why = done.stdout.splitlines()
    assert not folder.startswith(str(place))
    assert "noexec" in why


def test_no_place_at_all_is_said_with_every_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_folder, "_places", lambda: [Path("/proc/nowhere"), Path("relative")])
    with pytest.raises(user_folder.EnvironmentLacks) as refused:
        user_folder.user_folder()
    assert "/proc/nowhere: it is not a folder with an absolute path" in refused.value.hint
    assert "relative: it is not a folder" in refused.value.hint
    assert place_problem(Path("/tmp")) == ""


def test_what_a_killed_owner_left_is_swept_and_a_living_one_keeps_its_folder(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER)], env=child_environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        theirs = Path(owner.stdout.readline().strip())
        ours = ScratchFolder()
        assert sweep_scratch() == []
        assert (theirs / "engine.sock").exists()
        owner.kill()
        owner.wait()
        assert sweep_scratch() == [theirs.name]
    assert not theirs.exists()
    assert ours.path.exists()
    ours.remove()
    ours.remove()
    assert list(user_folder.user_folder().iterdir()) == []


def test_a_folder_that_is_being_made_is_left_alone_and_one_half_made_long_ago_is_not(place: Path) -> None:
    half_made = user_folder.user_folder() / f"{scratch.PREFIX}halfmade"
    half_made.mkdir()
    assert sweep_scratch() == []
    os.utime(half_made, (1, 1))
    assert sweep_scratch() == [half_made.name]


def test_what_a_person_was_told_of_stays(place: Path) -> None:
    folder = ScratchFolder()
    keep(folder.path)
    os.close(folder._lock)
    assert sweep_scratch() == []
    shutil.rmtree(folder.path)
    keep(place)
    assert not list(place.glob(".*")), "a folder that is no scratch is not marked"
