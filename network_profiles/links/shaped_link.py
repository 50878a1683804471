"""An open link, whichever backend carries its packets."""

from __future__ import annotations

from typing import Literal, Protocol

from network_profiles.links.counters import LinkCounters
from network_profiles.model.profile import NetworkProfile

BackendName = Literal["userspace", "netem"]


class ShapedLink(Protocol):
    """Addresses, the way in, and what can be asked of it. Any thread may use it."""

    @property
    def backend(self) -> BackendName:
        """What carries its packets."""

    @property
    def profile(self) -> NetworkProfile:
        """What it behaves as now."""

    @property
    def host_address(self) -> str:
        """Its address in our own namespace."""

    @property
    def device_address(self) -> str:
        """Its address inside the namespace behind it."""

    @property
    def device(self) -> str:
        """Name of the host end's device."""

    @property
    def pid(self) -> int:
        """Its daemon, which is in the namespace."""

    @property
    def namespace(self) -> int:
        """Inode of the network namespace behind it."""

    @property
    def exec_prefix(self) -> list[str]:
        """What to put before a command to run it behind the link."""

    def is_alive(self) -> bool:
        """Whether packets are still carried."""

    def counters(self) -> LinkCounters:
        """Returns what the link did so far. Raises LinkLost."""

    def set_profile(self, profile: NetworkProfile) -> None:
        """Makes the link another one from the next packet on, its timeline beginning now. Raises LinkLost."""

    def hold_timeline(self) -> None:
        """Keeps the link as it is apart from its phases and outages, so that it can be measured. Raises LinkLost."""

    def restart_timeline(self) -> float:
        """Begins the phases and outages anew, now. Returns that moment of the monotonic clock. Raises LinkLost."""

    def close(self) -> None:
        """Kills what still runs behind the link, then ends it. Safe to call twice."""
