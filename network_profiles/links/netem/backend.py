"""Opens netem links: checks what the machine needs for them, and starts their daemon."""

from __future__ import annotations

from network_profiles.links.addresses import Claim
from network_profiles.links.counters import DirectionCounters, LinkCounters
from network_profiles.links.daemon_link import DaemonLink, missing_for_daemon, start_daemon
from network_profiles.links.netem.kernel_features import missing_for_netem, run_quietly
from network_profiles.links.shaped_link import BackendName, ShapedLink
from network_profiles.model.profile import NetworkProfile

_DAEMON = "network_profiles.links.netem.netem_daemon"


class NetemBackend:
    """Kernel queues in a namespace between veth pairs; no process touches a packet."""

    name: BackendName = "netem"

    def missing_prerequisites(self) -> list[str]:
        return missing_for_daemon() or missing_for_netem()

    def is_exact_for(self, profile: NetworkProfile) -> bool:
        # netem follows a trace by its rates of 100 ms. A recorded trace is finer: it has opportunities by the
        # millisecond. A generated one has no more than those rates, but a packet that a gap meets on its way leaves
        # before the gap instead of after it.
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
    """A link whose packets the kernel carries and counts."""

    def counters(self) -> LinkCounters:
        answer = self._request({"do": "counters"})
        return LinkCounters(down=DirectionCounters(**answer["down"]), up=DirectionCounters(**answer["up"]))

    def close(self) -> None:
        # The kernel removes a namespace some time later. The host's device is deleted now, so that its name is free
        # when this returns.
        was_closed = self._closed
        super().close()
        if not was_closed:
            run_quietly(["ip", "link", "delete", "dev", self.device])
