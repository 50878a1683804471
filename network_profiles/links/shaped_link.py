"""The interface of an open link, the same for both backends."""

from __future__ import annotations

from typing import Literal, Protocol

from network_profiles.links.counters import LinkCounters
from network_profiles.model.profile import NetworkProfile

BackendName = Literal["userspace", "netem"]


class ShapedLink(Protocol):
    """An open link: its addresses, the namespace behind it, and its controls. Any thread may use it."""

    @property
    def backend(self) -> BackendName:
        """The backend that carries its packets."""

    @property
    def profile(self) -> NetworkProfile:
        """The profile that it follows now."""

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
        """Process id of its daemon, which is in the namespace."""

    @property
    def namespace(self) -> int:
        """Inode of the network namespace behind it."""

    @property
    def exec_prefix(self) -> list[str]:
        """The argv prefix that runs a command behind the link."""

    def is_alive(self) -> bool:
        """Whether the link still carries packets."""

    def counters(self) -> LinkCounters:
        """Returns the link's counters so far. Raises LinkLost."""

    def set_profile(self, profile: NetworkProfile) -> None:
        """Changes the link to ``profile`` from the next packet on; its timeline starts now. Raises LinkLost."""

    def hold_timeline(self) -> None:
        """Holds the link free of phases and outages, so that it can be measured. Raises LinkLost."""

    def restart_timeline(self) -> float:
        """Restarts phases and outages now. Returns the monotonic time of the start. Raises LinkLost."""

    def close(self) -> None:
        """Kills every process behind the link, then ends the link. Safe to call twice."""
