"""The daemon of one link: ``python -m network_profiles.links.userspace SETTINGS NAME``.

It opens a TUN device where it was started (the host end), moves into a network namespace without a name, opens
another TUN device there (the device end), and carries packets between the two as the link model says. The namespace is
its own and both devices live as long as their descriptors: whatever ends this process, even a ``kill -9``, ends them.
It also ends when its stdin is closed.

SETTINGS, the first line on stdout, and the orders on stdin are those of ``network_profiles.links.daemon``.
"""

from __future__ import annotations

import select
import time
from typing import Any, Final

from network_profiles.links import interfaces
from network_profiles.links.daemon import INNER_DEVICE, SIDES, Orders
from network_profiles.links.timer import Timer
from network_profiles.links.userspace import tun
from network_profiles.links.userspace.direction_forwarder import Passage
from network_profiles.model import plain_profile
from network_profiles.model.link import NEVER_S
from network_profiles.model.plain_profile import PlainProfile, Side
from network_profiles.model.shape import PlainShape

_DESCRIPTORS: Final = 4
_monotonic: Final = time.monotonic


class Shuttle:
    """Both directions, and the orders."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._seed: int = settings["seed"]
        self._profile: PlainProfile = plain_profile.from_json(settings["profile"])
        host, device = _build(settings["device"], settings["host_address"], settings["device_address"])
        self._passages: dict[Side, Passage] = {
            "down": Passage(self._profile.direction("down", self._seed), host, device),
            "up": Passage(self._profile.direction("up", self._seed), device, host),
        }
        self.restart()

    def run(self, orders: Orders) -> None:
        """Carries packets until the orders end."""
        down, up = self._passages["down"], self._passages["up"]
        down_source, up_source, control = down.source, up.source, orders.descriptor
        timer = Timer()
        set_for_s = NEVER_S
        with select.epoll(_DESCRIPTORS) as watched:
            for descriptor in (down_source, up_source, control):
                watched.register(descriptor, select.EPOLLIN)
            # At its edge only: a moment that has come need not be taken back.
            watched.register(timer.descriptor, select.EPOLLIN | select.EPOLLET)
            poll = watched.poll
            while True:
                now_s = _monotonic()
                next_s = min(down.release_due(now_s), up.release_due(now_s))
                if next_s != set_for_s:
                    if next_s < NEVER_S:
                        timer.set(next_s)
                    elif set_for_s > now_s:
                        timer.silence()
                    set_for_s = next_s
                for descriptor, _ in poll(None, _DESCRIPTORS):
                    if descriptor == down_source:
                        down.take_in()
                    elif descriptor == up_source:
                        up.take_in()
                    elif descriptor == control and not orders.obey(self):
                        return

    def counters(self) -> dict[str, Any]:
        """Returns what each direction counted."""
        return {side: passage.counters() for side, passage in self._passages.items()}

    def set_profile(self, profile: PlainProfile) -> None:
        """Becomes another link, its timeline beginning now."""
        self._profile = profile
        self.hold()
        self.restart()

    def hold(self) -> None:
        """Stays as the link is at the start of its timeline."""
        shapes: dict[Side, PlainShape] = {"down": self._profile.down, "up": self._profile.up}
        for side, shape in shapes.items():
            link = self._passages[side].link
            link.follow(None)
            link.reshape(shape)

    def restart(self) -> float:
        """Begins the timeline again. Returns when."""
        now_s = time.monotonic()
        for side in SIDES:
            self._passages[side].link.follow(self._profile.timeline(side, self._seed, now_s))
        return now_s


def _build(device: str, host_address: str, device_address: str) -> tuple[int, int]:
    host = tun.open_tun(device)
    interfaces.set_queue_length(device, tun.TUN_QUEUE_PACKETS)
    interfaces.give_address(device, host_address)
    interfaces.enter_new_network_namespace()
    interfaces.forbid_ipv6()
    inner = tun.open_tun(INNER_DEVICE)
    interfaces.set_queue_length(INNER_DEVICE, tun.TUN_QUEUE_PACKETS)
    interfaces.bring_loopback_up()
    interfaces.give_address(INNER_DEVICE, device_address)
    interfaces.route_everything_via(host_address)
    return host, inner
