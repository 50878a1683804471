"""Sets addresses, routes, neighbours and namespaces by system calls, without starting a program."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

MTU_BYTES = 1500

_CLONE_NEWNET = 0x40000000
_PR_SET_TIMERSLACK = 29
_SIOCADDRT = 0x890B
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFMTU = 0x8916, 0x891C, 0x8922
_RTM_NEWLINK, _IFLA_TXQLEN, _NLM_F_REQUEST_ACK = 16, 13, 0x1 | 0x4
_SIOCSARP, _ATF_COMPLETE_PERMANENT, _ARPHRD_ETHER = 0x8955, 0x02 | 0x04, 1
_SIOCETHTOOL = 0x8946
_SET_OFFLOADS = {
    "gro": 0x2C,
    "gso": 0x24,
    "tso": 0x1F,
    "scatter-gather": 0x19,
    "tx-checksum": 0x17,
    "rx-checksum": 0x15,
}
_RTF_UP_GATEWAY = 0x1 | 0x2
_LIBC = ctypes.CDLL(None, use_errno=True)


def enter_new_network_namespace() -> None:
    """Moves the calling thread into a new network namespace, which lives as long as a thread is in it."""
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare")


def enter_network_namespace(descriptor: int) -> None:
    """Moves the calling thread into the network namespace of this open file. Raises OSError."""
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


def minimise_timer_slack() -> None:
    """Sets the timer slack to 1 ns, so that wake-ups are on time; the default slack is 50 us."""
    _LIBC.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def assign_address(name: str, address: str) -> None:
    """Gives the device its address in a /30, disables IPv6 on it (no bypass of the link), and brings it up."""
    no_ipv6 = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
    if no_ipv6.exists():
        no_ipv6.write_text("1", encoding="utf-8")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _set(control, _SIOCSIFADDR, name, _socket_address(address))
        _set(control, _SIOCSIFNETMASK, name, _socket_address("255.255.255.252"))
        _set(control, _SIOCSIFMTU, name, struct.pack("i", MTU_BYTES))
        _up(control, name)


def set_queue_length(name: str, packets: int) -> None:
    """Sets how many packets may wait between the kernel and the device's reader.

    It uses netlink, which root of the namespace may use; the older ioctl needs root of the machine.
    """
    link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, socket.if_nametoindex(name), 0, 0)
    length = struct.pack("=HHI", 8, _IFLA_TXQLEN, packets)
    header = struct.pack("=IHHII", 16 + len(link) + len(length), _RTM_NEWLINK, _NLM_F_REQUEST_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as route:
        route.bind((0, 0))
        route.send(header + link + length)
        (error,) = struct.unpack_from("=i", route.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error), name)


def add_static_neighbour(name: str, address: str, mac: str) -> None:
    """Adds a permanent ARP entry for ``address``, so that no ARP request crosses a slow link."""
    request = (
        _socket_address(address)
        + struct.pack("H", _ARPHRD_ETHER) + bytes.fromhex(mac.replace(":", "")).ljust(14, b"\0")
        + struct.pack("i", _ATF_COMPLETE_PERMANENT) + bytes(16) + name.encode().ljust(16, b"\0")
    )  # fmt: skip
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSARP, request)


def disable_offloads(name: str) -> None:
    """Switches off the device's offloads: it then carries packets of at most the MTU, no 64 kB segments."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _SET_OFFLOADS.values():
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            with contextlib.suppress(OSError):  # the device does not have that offload
                _set(control, _SIOCETHTOOL, name, struct.pack("P", ctypes.addressof(value)))


def disable_ipv6() -> None:
    """Disables IPv6 on every device of this namespace, present and future."""
    for scope in ("all", "default"):
        switch = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
        if switch.exists():
            switch.write_text("1", encoding="utf-8")


def bring_loopback_up() -> None:
    """Brings ``lo`` up in this namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _up(control, "lo")


def add_default_route(gateway: str) -> None:
    """Adds the default route of this namespace."""
    anywhere = _socket_address("0.0.0.0")
    route = struct.pack(
        "@L16s16s16sHhLPhPLLH",
        0, anywhere, _socket_address(gateway), anywhere, _RTF_UP_GATEWAY, 0, 0, 0, 0, 0, 0, 0, 0,
    )  # fmt: skip
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCADDRT, route.ljust(120, b"\0"))


def _up(control: socket.socket, name: str) -> None:
    answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", name.encode()))
    (flags,) = struct.unpack_from("H", answer, 16)
    _set(control, _SIOCSIFFLAGS, name, struct.pack("H", flags | _IFF_UP))


def _set(control: socket.socket, request: int, name: str, value: bytes) -> None:
    fcntl.ioctl(control, request, struct.pack("16s24s", name.encode(), value))


def _socket_address(address: str) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
