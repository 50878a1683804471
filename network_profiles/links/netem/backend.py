"""The netem backend as the lab sees it: what it needs, and a link of it."""

from __future__ import annotations

from network_profiles.links.addresses import Claim
from network_profiles.links.counters import DirectionCounters, LinkCounters
from network_profiles.links.daemon_link import DaemonLink, missing_for_daemon, start_daemon
from network_profiles.links.netem.kernel import lacks_netem, run_quietly
from network_profiles.links.shaped_link import BackendName, ShapedLink
from network_profiles.model.profile import NetworkProfile

_DAEMON = "network_profiles.links.netem.netem_daemon"


class NetemBackend:
    """Queues of the kernel in a namespace between two veth pairs; no process touches a packet."""

    name: BackendName = "netem"

    def lacks(self) -> list[str]:
        return missing_for_daemon() or lacks_netem()

    def is_exact_for(self, profile: NetworkProfile) -> bool:
        # A trace is followed by its rates of 100 ms. Of a generated one that is all there is, yet a packet that a gap
        # meets on its way leaves before the gap; a recorded one says to the millisecond when there is room.
        return profile.down.trace is None and profile.up.trace is None

    def open(self, profile: NetworkProfile, claim: Claim, *, seed: int, name: str) -> ShapedLink | None:
        child = start_daemon(_DAEMON, claim, profile, seed=seed, name=name)
        if child is None:
            return None
        try:
            return NetemLink(self.name, child, claim, profile)
        except BaseException:
            child.stop()
            raise


class NetemLink(DaemonLink):
    """A link whose packets the kernel carries, and counts."""

    def counters(self) -> LinkCounters:
        answer = self._ask({"do": "counters"})
        return LinkCounters(down=DirectionCounters(**answer["down"]), up=DirectionCounters(**answer["up"]))

    def close(self) -> None:
        # The kernel takes a namespace apart when it finds the time. The host's device goes now: its name is free again
        # when this returns.
        was_closed = self._closed
        super().close()
        if not was_closed:
            run_quietly(["ip", "link", "delete", "dev", self.device])
