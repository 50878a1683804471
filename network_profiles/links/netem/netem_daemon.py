"""The daemon of one netem link: ``python -m network_profiles.links.netem.netem_daemon SETTINGS NAME``.

No packet passes through it. It keeps two unnamed network namespaces alive: the wire, by the ``tc`` process inside,
and the namespace behind the link, in which this process runs. When this process ends, even by ``kill -9``, the stdin
of that tc closes, so both namespaces end. A veth device ends with its peer, so nothing is left. The daemon also ends
when its own stdin is closed.

SETTINGS, the first line on stdout, and the commands on stdin are those of ``links.daemon``. For a profile
that changes with time, the daemon changes the queues at the times of its timeline.

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
from network_profiles.links.daemon import INNER_DEVICE, CommandReader, serve
from network_profiles.links.netem.direction_schedule import DirectionSchedule
from network_profiles.links.netem.kernel_features import PLUG_FEATURE
from network_profiles.links.netem.qdisc_layout import WIRE_PATHS, FifoKind, build_commands, fifo_commands
from network_profiles.links.netem.tc import Tc
from network_profiles.links.netem.tc_counters import COUNTER_QUERIES, direction_counters
from network_profiles.model import plain_profile
from network_profiles.model.link import NEVER_S
from network_profiles.model.plain_profile import SIDES, PlainProfile

_NO_PLUG = (
    f"the kernel has no {PLUG_FEATURE.module}, which holds packets through a trace's gaps "
    f"(modprobe {PLUG_FEATURE.module}; kernel option {PLUG_FEATURE.option})"
)


class NetemDaemon:
    """Both directions of a netem link, and the ``tc`` that shapes them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._seed: int = settings["seed"]
        self._profile: PlainProfile = plain_profile.from_json(settings["profile"])
        self._tc = Tc()
        _build_wire(self._tc, settings["device"], settings["host_address"], settings["device_address"])
        for side in SIDES:
            self._tc.run_commands(build_commands(side, self._profile.shape(side)))
        self._fifo = self._add_fifos()
        self._schedules = {side: DirectionSchedule(side, self._profile.shape(side), self._fifo) for side in SIDES}
        self.restart()

    def run(self, command_reader: CommandReader) -> None:
        """Follows the timeline and handles commands until stdin closes or the wire is gone."""
        while True:
            next_s = self._apply_due_commands()
            timeout_s = None if next_s == NEVER_S else max(0.0, next_s - time.monotonic())
            readable, _, _ = select.select([command_reader.descriptor, self._tc], [], [], timeout_s)
            if self._tc in readable:  # no query is open, so it has ended, and the wire with it
                return
            if readable and not command_reader.handle_pending(self):
                return

    def counters(self) -> dict[str, Any]:
        """Reads the counters of the queues."""
        return {
            side: direction_counters([self._tc.query([query]) for query in COUNTER_QUERIES[side]]) for side in SIDES
        }

    def set_profile(self, profile: PlainProfile) -> None:
        """Changes the link to ``profile``; its timeline starts now."""
        self._profile = profile
        self.restart()

    def hold(self) -> None:
        """Holds the link in the state at the start of its timeline."""
        self._tc.run_commands(
            [one for side, schedule in self._schedules.items() for one in schedule.set_shape(self._profile.shape(side))]
        )

    def restart(self) -> float:
        """Restarts the timeline now. Returns the monotonic time of the start."""
        now_s = time.monotonic()
        commands = []
        for side, schedule in self._schedules.items():
            timeline = self._profile.timeline(side, self._seed, now_s)
            if timeline is not None and timeline.opportunities is not None and self._fifo != "plug":
                raise OSError(errno.EOPNOTSUPP, _NO_PLUG)
            commands += schedule.follow_timeline(timeline, self._profile.shape(side))
        self._tc.run_commands(commands)
        self._apply_due_commands()
        return now_s

    def _apply_due_commands(self) -> float:
        """Runs the commands that are due now. Returns the time of the next change."""
        now_s = time.monotonic()
        due = [schedule.due_at(now_s) for schedule in self._schedules.values()]
        commands = [command for one in due for command in one.commands]
        if commands:
            self._tc.run_commands(commands)
        return min(one.next_s for one in due)

    def _add_fifos(self) -> FifoKind:
        """Adds each direction's fifo and returns its kind: ``plug``, or ``bfifo`` where the kernel has no plug."""
        try:
            self._add_fifo("plug")
        except OSError:
            self._add_fifo("bfifo")
            return "bfifo"
        return "plug"

    def _add_fifo(self, fifo: FifoKind) -> None:
        self._tc.run_commands([line for side in SIDES for line in fifo_commands(side, self._profile.shape(side), fifo)])


def _build_wire(tc: Tc, device: str, host_address: str, device_address: str) -> None:
    """Connects our namespace, the wire, and the namespace behind the link, which this process enters."""
    host_mac, device_mac = _mac(device, 1), _mac(device, 2)
    _add_veth_pair(device, host_mac, WIRE_PATHS["down"].ingress_device, tc.pid)
    interfaces.disable_offloads(device)
    interfaces.assign_address(device, host_address)
    interfaces.add_static_neighbour(device, device_address, device_mac)
    interfaces.enter_new_network_namespace()
    interfaces.disable_ipv6()
    interfaces.bring_loopback_up()
    _add_veth_pair(INNER_DEVICE, device_mac, WIRE_PATHS["up"].ingress_device, tc.pid)
    interfaces.disable_offloads(INNER_DEVICE)
    interfaces.assign_address(INNER_DEVICE, device_address)
    interfaces.add_static_neighbour(INNER_DEVICE, host_address, host_mac)
    interfaces.add_default_route(host_address)
    up = "".join(
        f"ip link set dev {one} up\n" for path in WIRE_PATHS.values() for one in (path.ingress_device, path.loss_device)
    )
    _run(["nsenter", f"--net=/proc/{tc.pid}/ns/net", "sh", "-e", "-c", up])


def _add_veth_pair(device: str, mac: str, other_end: str, wire_pid: int) -> None:
    """Makes a veth pair from here into the wire."""
    pair = ["ip", "link", "add", device, "address", mac, "type", "veth", "peer", "name", other_end, "netns"]
    _run([*pair, str(wire_pid)])


def _mac(device: str, end: int) -> str:
    """Returns a locally administered MAC address (second bit set), a different one for each end of each link."""
    index = int(device.removeprefix("rf"))
    return f"02:72:66:{index >> 8:02x}:{index & 255:02x}:{end:02x}"


def _run(argv: list[str]) -> None:
    done = run_and_read(argv)
    if done.returncode != 0:
        number = errno.EBUSY if "File exists" in done.stderr else errno.EIO
        raise OSError(number, done.stderr.strip(), " ".join(argv[:4]))


if __name__ == "__main__":
    with crash.reporting("network_profiles.links.netem.netem_daemon"):
        sys.exit(serve(lambda: NetemDaemon(json.loads(sys.argv[1]))))
