"""The netem backend as the lab sees it: what it needs, and a link of it."""

from __future__ import annotations

from network_profiles.addresses import Claim
from network_profiles.counters import DirectionCounters, LinkCounters
from network_profiles.daemon_link import DaemonLink, missing_for_daemon, start_daemon
from network_profiles.netem.kernel import has_plug, lacks_netem, run_quietly
from network_profiles.profile import NetworkProfile
from network_profiles.shaped_link import BackendName, ShapedLink

_DAEMON = "network_profiles.netem.keeper"


class NetemBackend:
    """Queues of the kernel in a namespace between two veth pairs; no process touches a packet."""

    name: BackendName = "netem"

    def lacks(self) -> list[str]:
        return missing_for_daemon() or lacks_netem()

    def is_exact_for(self, profile: NetworkProfile) -> bool:
        # A generated trace has steps of 100 ms, which are followed packet by packet. A recorded one says to the
        # millisecond when there is room, of which only the rate of each 100 ms is followed: its mean, its gaps, and
        # its queue are right, a lone packet's wait for its moment is not there.
        traces = [trace for trace in (profile.down.trace, profile.up.trace) if trace is not None]
        return not traces or (all(trace.process is not None for trace in traces) and has_plug())

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
