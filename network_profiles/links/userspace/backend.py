"""Opens userspace links: checks what the machine needs for them, and starts their daemon."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from network_profiles.links.addresses import Claim
from network_profiles.links.counters import DirectionCounters, LinkCounters
from network_profiles.links.daemon import INNER_DEVICE
from network_profiles.links.daemon_link import DaemonLink, missing_for_daemon, start_daemon
from network_profiles.links.shaped_link import BackendName, ShapedLink
from network_profiles.model.profile import NetworkProfile

_DAEMON = "network_profiles.links.userspace"


class UserspaceBackend:
    """Two TUN devices and a process between them: runs on any kernel, each packet follows the link model exactly."""

    name: BackendName = "userspace"

    def missing_prerequisites(self) -> list[str]:
        missing = missing_for_daemon()
        if not Path("/dev/net/tun").exists():
            missing.append("there is no /dev/net/tun (modprobe tun; in a container: --device /dev/net/tun)")
        elif not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            missing.append("/dev/net/tun may not be opened (run it with sudo)")
        return missing

    def is_exact_for(self, _profile: NetworkProfile) -> bool:
        return True

    def open(self, profile: NetworkProfile, claim: Claim, *, seed: int, name: str) -> ShapedLink | None:
        child = start_daemon(_DAEMON, claim, profile, seed=seed, name=name)
        if child is None:
            return None
        try:
            return UserspaceLink(self.name, child, claim, profile)
        except BaseException:
            child.stop()
            raise


class UserspaceLink(DaemonLink):
    """A link whose daemon forwards the packets itself."""

    def counters(self) -> LinkCounters:
        answer = self._request({"do": "counters"})
        # When the queue before a TUN device is full, the kernel counts the packet as dropped by that device.
        down_overrun = _dropped_before(Path("/proc/net/dev"), self.device)
        up_overrun = _dropped_before(Path(f"/proc/{self.pid}/net/dev"), INNER_DEVICE)
        return LinkCounters(
            down=DirectionCounters(**answer["down"], overrun=down_overrun),
            up=DirectionCounters(**answer["up"], overrun=up_overrun),
        )


def _dropped_before(device_table: Path, device: str) -> int:
    """Reads the device's count of dropped outgoing packets from its namespace's table; 0 when the device is gone."""
    with contextlib.suppress(OSError):
        for line in device_table.read_text(encoding="utf-8").splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == device:
                return int(numbers.split()[11])
    return 0
