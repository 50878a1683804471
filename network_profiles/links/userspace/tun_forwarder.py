"""The daemon of one userspace link: ``python -m network_profiles.links.userspace SETTINGS NAME``.

It opens a TUN device where it was started (the host end). It moves into a new, unnamed network namespace and opens
another TUN device there (the device end). Then it forwards packets between the two by the link model. The namespace
lives as long as this process, and both devices as long as their descriptors: the end of the process, even by
``kill -9``, removes them all. The daemon also ends when its stdin is closed.

SETTINGS, the first line on stdout, and the commands on stdin are those of ``network_profiles.links.daemon``.
"""

from __future__ import annotations

import select
import time
from typing import Any, Final

from network_profiles.links import interfaces
from network_profiles.links.daemon import INNER_DEVICE, CommandReader
from network_profiles.links.timer import Timer
from network_profiles.links.userspace import tun
from network_profiles.links.userspace.direction_forwarder import DirectionForwarder
from network_profiles.model import plain_profile
from network_profiles.model.link import NEVER_S
from network_profiles.model.plain_profile import SIDES, PlainProfile, Side
from network_profiles.model.shape import PlainShape

_DESCRIPTORS: Final = 4
_monotonic: Final = time.monotonic


class TunForwarder:
    """Forwards both directions of a link and handles commands."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._seed: int = settings["seed"]
        self._profile: PlainProfile = plain_profile.from_json(settings["profile"])
        host, device = _create_devices(settings["device"], settings["host_address"], settings["device_address"])
        self._forwarders: dict[Side, DirectionForwarder] = {
            "down": DirectionForwarder(self._profile.direction("down", self._seed), host, device),
            "up": DirectionForwarder(self._profile.direction("up", self._seed), device, host),
        }
        self.restart()

    def run(self, command_reader: CommandReader) -> None:
        """Forwards packets until stdin closes."""
        down, up = self._forwarders["down"], self._forwarders["up"]
        down_source, up_source, control = down.source, up.source, command_reader.descriptor
        timer = Timer()
        set_for_s = NEVER_S
        with select.epoll(_DESCRIPTORS) as poller:
            for descriptor in (down_source, up_source, control):
                poller.register(descriptor, select.EPOLLIN)
            # Edge-triggered: a timer that has fired need not be disarmed.
            poller.register(timer.descriptor, select.EPOLLIN | select.EPOLLET)
            poll = poller.poll
            while True:
                now_s = _monotonic()
                next_s = min(down.write_due_packets(now_s), up.write_due_packets(now_s))
                if next_s != set_for_s:
                    if next_s < NEVER_S:
                        timer.set(next_s)
                    elif set_for_s > now_s:
                        timer.disarm()
                    set_for_s = next_s
                for descriptor, _ in poll(None, _DESCRIPTORS):
                    if descriptor == down_source:
                        down.read_packets()
                    elif descriptor == up_source:
                        up.read_packets()
                    elif descriptor == control and not command_reader.handle_pending(self):
                        return

    def counters(self) -> dict[str, Any]:
        """Returns the counters of each direction."""
        return {side: forwarder.counters() for side, forwarder in self._forwarders.items()}

    def set_profile(self, profile: PlainProfile) -> None:
        """Changes the link to ``profile``; its timeline starts now."""
        self._profile = profile
        self.hold()
        self.restart()

    def hold(self) -> None:
        """Holds the link in the state at the start of its timeline."""
        shapes: dict[Side, PlainShape] = {"down": self._profile.down, "up": self._profile.up}
        for side, shape in shapes.items():
            link = self._forwarders[side].link
            link.follow_timeline(None)
            link.reshape(shape)

    def restart(self) -> float:
        """Restarts the timeline now. Returns the monotonic time of the start."""
        now_s = time.monotonic()
        for side in SIDES:
            self._forwarders[side].link.follow_timeline(self._profile.timeline(side, self._seed, now_s))
        return now_s


def _create_devices(device: str, host_address: str, device_address: str) -> tuple[int, int]:
    host = tun.open_tun(device)
    interfaces.set_queue_length(device, tun.TUN_QUEUE_PACKETS)
    interfaces.assign_address(device, host_address)
    interfaces.enter_new_network_namespace()
    interfaces.disable_ipv6()
    inner = tun.open_tun(INNER_DEVICE)
    interfaces.set_queue_length(INNER_DEVICE, tun.TUN_QUEUE_PACKETS)
    interfaces.bring_loopback_up()
    interfaces.assign_address(INNER_DEVICE, device_address)
    interfaces.add_default_route(host_address)
    return host, inner
