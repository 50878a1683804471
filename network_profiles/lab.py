"""Links that a browser or any other program can be put behind: a namespace, and a process that is its only way out."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bedrock.child_process import ChildProcess, spawn
from bedrock.errors import EnvironmentLacks
from network_profiles import inhabitants
from network_profiles.addresses import LINK_RANGE, Claim, abandoned, claim_free, live_notes
from network_profiles.counters import DirectionCounters, LinkCounters
from network_profiles.errors import LinkCannotBeBuilt
from network_profiles.plain_profile import plain_profile
from network_profiles.profile import NetworkProfile
from network_profiles.shaped_link import ShapedLink

__all__ = ["LINK_RANGE", "DirectionCounters", "LinkCounters", "ShapedLink", "lacks", "open_link", "sweep"]

READY_TIMEOUT_S = 20.0
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def open_link(profile: NetworkProfile, *, seed: int, name: str) -> Iterator[ShapedLink]:
    """Opens a link that behaves as ``profile`` says, and closes it with everything that still runs behind it.

    ``name`` shows in the process list. A profile that changes with time begins to when the link opens. The link dies
    with the calling *thread*, however that ends. Raises LinkCannotBeBuilt.
    """
    missing = lacks()
    if missing:
        raise LinkCannotBeBuilt("a shaped link cannot be built here: " + "; ".join(missing))
    claim, child = _build(profile, seed, name)
    link = None
    try:
        link = ShapedLink(child, claim, profile)
        claim.note({"owner": os.getpid(), "name": name, "shuttle": child.pid, "namespace": link.namespace})
        yield link
    finally:
        if link is not None:
            link.close()
        child.stop()
        claim.release()


def lacks() -> list[str]:
    """Returns what this machine lacks for links, a sentence each; empty when nothing."""
    missing = []
    if os.geteuid() != 0:
        missing.append("root is needed for namespaces and TUN devices (run it with sudo)")
    if not Path("/dev/net/tun").exists():
        missing.append("there is no /dev/net/tun (modprobe tun; in a container: --device /dev/net/tun)")
    elif not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        missing.append("/dev/net/tun may not be opened (run it with sudo)")
    if not Path("/proc/self/ns/net").exists():
        missing.append("the kernel has no network namespaces (CONFIG_NET_NS)")
    missing += [
        f"'{program}' is not on this machine (apt-get install util-linux)"
        for program in ("nsenter", "setpriv")
        if shutil.which(program) is None
    ]
    return missing


def sweep() -> list[str]:
    """Ends what dead owners left behind their links, and returns a name each.

    A link's devices and daemon go with their owner by themselves. What can stay is a program that ran inside, in a
    namespace that has lost its link, and the claim on its addresses.
    """
    removed = []
    for claim, facts in abandoned():
        namespace = facts.get("namespace")
        if isinstance(namespace, int) and sum(note.get("namespace") == namespace for note in live_notes()) == 1:
            left = inhabitants.cut_off(inhabitants.inhabitants(namespace))
            inhabitants.kill(left)
            removed += [f"process {pid} behind link '{facts.get('name', '')}'" for pid in left]
        claim.release()
        removed.append(f"claim on {claim.host_address}")
    return removed


def _build(profile: NetworkProfile, seed: int, name: str) -> tuple[Claim, ChildProcess]:
    """Starts a daemon on the first addresses whose device name nobody else uses."""
    while True:
        claim = claim_free()
        try:
            child = _start_daemon(claim, profile, seed, name)
            if child is not None:
                return claim, child
        except BaseException:
            claim.release()
            raise
        claim.release()


def _start_daemon(claim: Claim, profile: NetworkProfile, seed: int, name: str) -> ChildProcess | None:
    settings = {
        "device": claim.device,
        "host_address": claim.host_address,
        "device_address": claim.device_address,
        "seed": seed,
        "profile": plain_profile(profile),
    }
    # -S: the daemon needs nothing of site-packages, whose .pth files cost start-up time and memory.
    argv = [sys.executable, "-S", "-m", "network_profiles.userspace.shuttle", json.dumps(settings), name]
    child = spawn(f"link {name}", argv, pipe_stdout=True, env={"PYTHONPATH": str(_PACKAGE_ROOT)})
    try:
        said = child.wait_ready(READY_TIMEOUT_S)
    except EnvironmentLacks as error:
        child.stop()
        raise LinkCannotBeBuilt(error.message, hint=error.hint) from None
    except BaseException:
        child.stop()
        raise
    if said["event"] == "ready":
        return child
    child.stop()
    if said.get("errno") == errno.EBUSY:
        return None
    raise LinkCannotBeBuilt(f"the kernel refused a shaped link: {said.get('what')}", hint="see 'ringfence doctor'")
