"""The daemon of one netem link: ``python -m network_profiles.links.netem.netem_daemon SETTINGS NAME``.

No packet passes through it. It keeps two network namespaces without a name: the wire, which lives as long as the
``tc`` inside, and the one behind the link, which it is in itself. Whatever ends this process, even a ``kill -9``,
closes that tc's stdin and so ends both, and a veth device ends with its peer: nothing stays. It also ends when its
stdin is closed.

SETTINGS, the first line on stdout, and the orders on stdin are those of ``links.daemon``. A profile that changes with
time is followed by changing the queues at the times its timeline says.

Only the standard library is imported: a matrix runs dozens of these.
"""

from __future__ import annotations

import errno
import json
import select
import sys
import time
from typing import Any

from bedrock import crash
from bedrock.short_command import run_and_read
from network_profiles.links import interfaces
from network_profiles.links.daemon import INNER_DEVICE, SIDES, Orders, serve
from network_profiles.links.netem.direction_schedule import NEVER_S, Course
from network_profiles.links.netem.kernel import PLUG
from network_profiles.links.netem.qdisc_layout import PATHS, Fifo, build_commands, fifo_commands
from network_profiles.links.netem.tc import Tc
from network_profiles.links.netem.tc_counters import QUESTIONS, counted
from network_profiles.model import plain_profile
from network_profiles.model.plain_profile import PlainProfile

_NO_PLUG = (
    f"the kernel has no {PLUG.module}, which keeps a trace's gaps (modprobe {PLUG.module}; built with {PLUG.option})"
)


class Keeper:
    """Both directions, and the commands."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._seed: int = settings["seed"]
        self._profile: PlainProfile = plain_profile.from_json(settings["profile"])
        self._tc = Tc()
        _build(self._tc, settings["device"], settings["host_address"], settings["device_address"])
        for side in SIDES:
            self._tc.do(build_commands(side, self._profile.shape(side)))
        self._fifo = self._add_fifos()
        self._courses = {side: Course(side, self._profile.shape(side), self._fifo) for side in SIDES}
        self.restart()

    def run(self, orders: Orders) -> None:
        """Follows the timeline and obeys until the orders end, or the wire is gone."""
        while True:
            next_s = self._do_what_is_due()
            timeout_s = None if next_s == NEVER_S else max(0.0, next_s - time.monotonic())
            readable, _, _ = select.select([orders.descriptor, self._tc], [], [], timeout_s)
            if self._tc in readable:  # nobody asked it anything: it has ended, and the wire with it
                return
            if readable and not orders.obey(self):
                return

    def counters(self) -> dict[str, Any]:
        """Asks the queues."""
        return {side: counted([self._tc.ask([question]) for question in QUESTIONS[side]]) for side in SIDES}

    def set_profile(self, profile: PlainProfile) -> None:
        """Becomes another link, its timeline beginning now."""
        self._profile = profile
        self.restart()

    def hold(self) -> None:
        """Stays as the link is at the start of its timeline."""
        self._tc.do([one for side, course in self._courses.items() for one in course.stay(self._profile.shape(side))])

    def restart(self) -> float:
        """Begins the timeline again. Returns when."""
        now_s = time.monotonic()
        commands = []
        for side, course in self._courses.items():
            timeline = self._profile.timeline(side, self._seed, now_s)
            if timeline is not None and timeline.room is not None and self._fifo != "plug":
                raise OSError(errno.EOPNOTSUPP, _NO_PLUG)
            commands += course.follow(timeline, self._profile.shape(side))
        self._tc.do(commands)
        self._do_what_is_due()
        return now_s

    def _do_what_is_due(self) -> float:
        """Makes the link what it is now. Returns when it next changes."""
        now_s = time.monotonic()
        due = [course.due(now_s) for course in self._courses.values()]
        commands = [command for one in due for command in one.commands]
        if commands:
            self._tc.do(commands)
        return min(one.next_s for one in due)

    def _add_fifos(self) -> Fifo:
        """Adds each direction's fifo: the plain one where the kernel has no plug. Returns which."""
        try:
            self._add_fifo("plug")
        except OSError:
            self._add_fifo("bfifo")
            return "bfifo"
        return "plug"

    def _add_fifo(self, fifo: Fifo) -> None:
        self._tc.do([line for side in SIDES for line in fifo_commands(side, self._profile.shape(side), fifo)])


def _build(tc: Tc, device: str, host_address: str, device_address: str) -> None:
    """Lays the cable: our namespace, the wire, and the namespace behind the link, which this process enters."""
    host_mac, device_mac = _mac(device, 1), _mac(device, 2)
    _lay(device, host_mac, PATHS["down"].comes_in, tc.pid)
    interfaces.switch_offloads_off(device)
    interfaces.give_address(device, host_address)
    interfaces.know_neighbour(device, device_address, device_mac)
    interfaces.enter_new_network_namespace()
    interfaces.forbid_ipv6()
    interfaces.bring_loopback_up()
    _lay(INNER_DEVICE, device_mac, PATHS["up"].comes_in, tc.pid)
    interfaces.switch_offloads_off(INNER_DEVICE)
    interfaces.give_address(INNER_DEVICE, device_address)
    interfaces.know_neighbour(INNER_DEVICE, host_address, host_mac)
    interfaces.route_everything_via(host_address)
    up = "".join(f"ip link set dev {one} up\n" for path in PATHS.values() for one in (path.comes_in, path.lossy))
    _run(["nsenter", f"--net=/proc/{tc.pid}/ns/net", "sh", "-e", "-c", up])


def _lay(device: str, mac: str, other_end: str, wire_pid: int) -> None:
    """Makes a veth pair from here into the wire."""
    pair = ["ip", "link", "add", device, "address", mac, "type", "veth", "peer", "name", other_end, "netns"]
    _run([*pair, str(wire_pid)])


def _mac(device: str, end: int) -> str:
    """Returns an address of our own making (its second bit says so), another one for each end of each link."""
    index = int(device.removeprefix("rf"))
    return f"02:72:66:{index >> 8:02x}:{index & 255:02x}:{end:02x}"


def _run(argv: list[str]) -> None:
    done = run_and_read(argv)
    if done.returncode != 0:
        number = errno.EBUSY if "File exists" in done.stderr else errno.EIO
        raise OSError(number, done.stderr.strip(), " ".join(argv[:4]))


if __name__ == "__main__":
    with crash.reporting("network_profiles.links.netem.netem_daemon"):
        sys.exit(serve(lambda: Keeper(json.loads(sys.argv[1]))))
