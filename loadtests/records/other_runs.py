"""Other runs on this machine, of whatever user: they take the processor time that packets wait for.

Found by their command lines in ``/proc``, which need no registry that could be stale: whatever starts an engine, a
Locust master of ours, a matrix or a bench. What belongs together hangs from one process, the run's root.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bedrock.clock import Clock

COMMANDS = frozenset({"run", "swarm", "matrix", "bench"})
"""Commands of ``ringfence`` that make load."""
LOOK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """What the kernel tells everybody of a process."""

    pid: int
    parent: int
    user: str
    born_s: float
    argv: Sequence[str]


@dataclass(frozen=True, slots=True)
class OtherRun:
    """One run that is not ours."""

    pid: int
    user: str
    folder: str
    """Its run folder as its processes were told, empty while nobody was."""
    from_s: float
    to_s: float | None = None
    """When it was seen to be gone; None while it goes on."""

    def __str__(self) -> str:
        where = f", folder {self.folder}" if self.folder else ""
        return f"pid {self.pid} of {self.user}{where}"


@dataclass(slots=True)
class Neighbours:
    """The other runs that were seen since this one began. ``look`` at most every few seconds."""

    clock: Clock
    own_pid: int
    seen: dict[int, OtherRun] = field(default_factory=dict)
    _looked_at_s: float = float("-inf")

    def look(self, *, now: bool = False) -> list[OtherRun]:
        """Returns the runs that were not there before."""
        if not now and self.clock.monotonic_s() - self._looked_at_s < LOOK_EVERY_S:
            return []
        self._looked_at_s = self.clock.monotonic_s()
        living = {run.pid: run for run in other_runs(processes(), self.own_pid)}
        fresh = [run for pid, run in living.items() if pid not in self.seen]
        for pid, run in self.seen.items():
            if pid not in living and run.to_s is None:
                self.seen[pid] = replace(run, to_s=self.clock.unix_s())
        self.seen |= {pid: run for pid, run in living.items() if pid not in self.seen or run.folder}
        return fresh

    def to_json(self) -> list[dict[str, Any]]:
        """Returns what a manifest keeps."""
        return [asdict(run) for run in sorted(self.seen.values(), key=lambda run: run.from_s)]


def warning_of(run: OtherRun) -> str:
    """Returns the sentence for whoever is about to share the machine."""
    since = f"{datetime.fromtimestamp(run.from_s, UTC):%H:%M:%S} UTC"
    return (
        f"another ringfence run is on this machine since {since} ({run}): each takes processor time from the other, "
        "and either may end INVALID. Run them one after the other, or on two machines."
    )


def processes() -> Iterator[ProcessInfo]:
    """Returns the processes of this machine that we may see."""
    for one in psutil.process_iter(["pid", "ppid", "username", "create_time", "cmdline"]):
        info = one.info
        if info["cmdline"] and info["create_time"]:
            argv = tuple(info["cmdline"])
            yield ProcessInfo(info["pid"], info["ppid"] or 0, info["username"] or "somebody", info["create_time"], argv)


def other_runs(living: Iterable[ProcessInfo], own_pid: int) -> list[OtherRun]:
    """Returns the runs among ``living`` to which the process ``own_pid`` does not belong, the oldest first."""
    by_pid = {one.pid: one for one in living}
    own_root = _root(own_pid, own_pid, by_pid)
    folders: dict[int, str] = {}
    for one in by_pid.values():
        if _is_of_a_run(one.argv):
            root = _root(one.pid, own_pid, by_pid)
            folders[root] = folders.get(root) or _folder_in(one.argv)
    roots = [by_pid[pid] for pid in folders if pid != own_root]
    return [
        OtherRun(root.pid, root.user, folders[root.pid], root.born_s)
        for root in sorted(roots, key=lambda root: (root.born_s, root.pid))
    ]


def _root(pid: int, own_pid: int, by_pid: dict[int, ProcessInfo]) -> int:
    """Returns the topmost ancestor of ``pid``, or itself, that is part of a run or is our own process."""
    root, seen = pid, set[int]()
    while (one := by_pid.get(pid)) is not None and pid not in seen:
        seen.add(pid)
        if pid == own_pid or _is_of_a_run(one.argv):
            root = pid
        pid = one.parent
    return root


def _is_of_a_run(argv: Sequence[str]) -> bool:
    if not argv or not _is_python_or_ours(argv[0]):
        return False
    names = [Path(word).name for word in argv[:8]]
    if any(word == "calls.engine" for word in argv[:8]):
        return True
    if "locustfile.py" in names and any("loadtests" in word for word in argv):
        return True
    if "pytest" in names and any(Path(word).name == "device_matrix" for word in argv):
        return True
    program = next((place for place, name in enumerate(names[:5]) if name == "ringfence"), None)
    return program is not None and len(argv) > program + 1 and argv[program + 1] in COMMANDS


def _is_python_or_ours(program: str) -> bool:
    name = Path(program).name
    return name.startswith("python") or name in ("ringfence", "locust", "pytest")


def _folder_in(argv: Sequence[str]) -> str:
    for place, word in enumerate(argv):
        if word == "--run-folder" and place + 1 < len(argv):
            return argv[place + 1]
        if word.startswith("--run-folder="):
            return word.partition("=")[2]
    return ""
