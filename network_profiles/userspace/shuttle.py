"""The daemon of one link: ``python -m network_profiles.userspace SETTINGS NAME``.

It opens a TUN device where it was started (the host end), moves into a network namespace without a name, opens
another TUN device there (the device end), and carries packets between the two as the link model says. The namespace is
its own and both devices live as long as their descriptors: whatever ends this process, even a ``kill -9``, ends them.
It also ends when its stdin is closed.

SETTINGS is JSON: ``device``, ``host_address``, ``device_address``, ``seed``, ``profile`` (a PlainProfile). The first
line on stdout is ``{"event": "ready"}`` or ``{"event": "error", "what": …, "errno": …}``. Then each JSON line on stdin
is answered by one on stdout: ``{"do": "counters"}``, ``{"do": "set_profile", "profile": …}``, ``{"do": "hold"}`` (the
link stays as it is at the start of its timeline), ``{"do": "restart"}`` (the timeline begins now).

Only the standard library is imported: a matrix runs dozens of these.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import sys
import time
from typing import Any

from network_profiles import interfaces, plain_profile
from network_profiles.plain_profile import PlainProfile, Side
from network_profiles.shape import PlainShape
from network_profiles.userspace import tun
from network_profiles.userspace.alarm import Alarm
from network_profiles.userspace.passage import Passage

INNER_DEVICE = "link0"
_SIDES: tuple[Side, Side] = ("down", "up")


class Shuttle:
    """Both directions, and the commands."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._seed: int = settings["seed"]
        self._profile: PlainProfile = plain_profile.from_json(settings["profile"])
        host, device = _build(settings["device"], settings["host_address"], settings["device_address"])
        self._passages: dict[Side, Passage] = {
            "down": Passage(self._profile.direction("down", self._seed), host, device),
            "up": Passage(self._profile.direction("up", self._seed), device, host),
        }
        self._half_line = b""
        self._follow_timeline()

    def run(self) -> None:
        """Carries packets until stdin is closed."""
        control = sys.stdin.fileno()
        down, up = self._passages["down"], self._passages["up"]
        alarm = Alarm()
        take_in = {down.source: down.take_in, up.source: up.take_in}
        with select.epoll() as watched:
            for descriptor in (down.source, up.source, control, alarm.descriptor):
                watched.register(descriptor, select.EPOLLIN)
            while True:
                down_at_s, up_at_s = down.release_due(), up.release_due()
                if down_at_s is None or (up_at_s is not None and up_at_s < down_at_s):
                    alarm.set(up_at_s)
                else:
                    alarm.set(down_at_s)
                for descriptor, _ in watched.poll():
                    if descriptor in take_in:
                        take_in[descriptor]()
                    elif descriptor == control and not self._obey(os.read(control, 65536)):
                        return

    def _obey(self, chunk: bytes) -> bool:
        *lines, self._half_line = (self._half_line + chunk).split(b"\n")
        for line in lines:
            command = json.loads(line)
            answer: dict[str, Any] = {}
            match command["do"]:
                case "counters":
                    answer = {side: passage.counters() for side, passage in self._passages.items()}
                case "set_profile":
                    self._profile = plain_profile.from_json(command["profile"])
                    self._reshape()
                    self._follow_timeline()
                case "hold":
                    self._reshape()
                case "restart":
                    self._follow_timeline()
            _say(answer)
        return bool(chunk)

    def _reshape(self) -> None:
        shapes: dict[Side, PlainShape] = {"down": self._profile.down, "up": self._profile.up}
        for side, shape in shapes.items():
            link = self._passages[side].link
            link.follow(None)
            link.reshape(shape)

    def _follow_timeline(self) -> None:
        now_s = time.monotonic()
        for side in _SIDES:
            self._passages[side].link.follow(self._profile.timeline(side, self._seed, now_s))


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


def _be_prompt() -> None:
    """A link has no work of its own to wait behind: its packets go first, whatever else the machine does."""
    interfaces.wake_precisely()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    gc.disable()  # nothing here makes cycles


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(settings: dict[str, Any]) -> int:
    """Builds the link, says so, and carries packets."""
    try:
        shuttle = Shuttle(settings)
    except OSError as error:
        _say({"event": "error", "what": str(error), "errno": error.errno})
        return 1
    _be_prompt()
    _say({"event": "ready"})
    with contextlib.suppress(BrokenPipeError):
        shuttle.run()
    return 0
