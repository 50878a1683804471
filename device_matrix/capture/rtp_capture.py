"""Captures the headers of every packet at both ends of a shaped link, with the kernel's timestamps.

One socket listens inside the device's namespace, one at the link's host end. Both use the same clock, so a packet seen
at both ends gives its exact one-way delay. SNAP_BYTES hold the IP, UDP and RTP headers; the rest is encrypted media.
The packets of the device's end become ``headers.pcap`` in the cell's artifacts.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import socket
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from device_matrix.errors import LinkUnusable

SNAP_BYTES = 96
RECEIVE_BUFFER_BYTES = 1 << 20
MAX_PACKETS = 200_000

_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 0x0003
_PACKET_OUTGOING = 4
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")
_PCAP_MAGIC_NS = 0xA1B23C4D
_LINKTYPE_RAW = 101


@dataclass(frozen=True, slots=True)
class CapturedPacket:
    """The first bytes of one IP packet, and when it was seen."""

    at_s: float
    outgoing: bool
    """The packet left this end of the link; False: it arrived here."""
    length: int
    """Bytes of the whole packet."""
    head: bytes


@dataclass(slots=True)
class Tap:
    """The capture at one end of the link."""

    name: str
    socket: socket.socket
    packets: list[CapturedPacket] = field(default_factory=list)

    def read_all(self) -> None:
        """Reads all packets that the kernel holds."""
        while len(self.packets) < MAX_PACKETS:
            try:
                head, ancillary, _flags, address = self.socket.recvmsg(SNAP_BYTES, 64, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            except OSError:
                # The network device is gone: the link was closed, and there is nothing more to read.
                return
            if address[0] == "lo" or not head or head[0] >> 4 != 4:
                continue
            at_s = next((_seconds(data) for _level, kind, data in ancillary if kind == _SO_TIMESTAMPNS), 0.0)
            length = int.from_bytes(head[2:4], "big")
            self.packets.append(CapturedPacket(at_s, address[2] == _PACKET_OUTGOING, length, head))


class LinkCapture:
    """Captures both ends from ``start`` to ``stop``, on its own thread."""

    def __init__(self, *, link_pid: int, host_device: str) -> None:
        """Raises LinkUnusable when an end cannot be captured."""
        self._waker, self._wake_end = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="rtp-capture", daemon=True)
        try:
            host = _open_socket(host_device)
            try:
                device = _in_namespace(link_pid)
            except OSError:
                host.close()
                raise
        except OSError as error:
            self._waker.close()
            self._wake_end.close()
            raise LinkUnusable(f"the link's packets cannot be captured: {error}", reason="no_capture") from error
        self.device_tap = Tap("device", device)
        self.host_tap = Tap("host", host)

    def start(self) -> None:
        """Starts the capture."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the capture and keeps its packets. Safe to call twice."""
        with contextlib.suppress(OSError):
            self._wake_end.send(b"x")
        if self._thread.is_alive():
            self._thread.join()
        for tap in (self.device_tap, self.host_tap):
            if tap.socket.fileno() >= 0:
                tap.read_all()
                tap.socket.close()
        self._waker.close()
        self._wake_end.close()

    def write_pcap(self, path: Path) -> None:
        """Writes the packets of the device's end as a pcap file with nanosecond timestamps."""
        with path.open("wb") as file:
            _write_pcap(file, self.device_tap.packets)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._waker, selectors.EVENT_READ, None)
            for tap in (self.device_tap, self.host_tap):
                selector.register(tap.socket, selectors.EVENT_READ, tap)
            while True:
                for key, _events in selector.select():
                    if key.data is None:
                        return
                    key.data.read_all()


def _open_socket(device: str | None) -> socket.socket:
    """Opens a packet socket on one network device, or on all of this namespace."""
    # With protocol 0 a socket receives nothing before bind, so no packets of another device get in.
    protocol = 0 if device is not None else socket.htons(_ETH_P_ALL)
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if device is not None:
            opened.bind((device, _ETH_P_ALL))
    except OSError:
        opened.close()
        raise
    return opened


def _in_namespace(pid: int) -> socket.socket:
    """Opens the socket in the namespace of ``pid``, on a thread: a thread can enter a namespace by itself."""
    opened: list[socket.socket] = []
    failed: list[OSError] = []

    def enter() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if libc.setns(descriptor, _CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            finally:
                os.close(descriptor)
            opened.append(_open_socket(None))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter, name="namespace-entry")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return opened[0]


def _seconds(timespec: bytes) -> float:
    seconds, nanoseconds = _TIMESPEC.unpack(timespec[: _TIMESPEC.size])
    return float(seconds + nanoseconds / 1e9)


def _write_pcap(file: BinaryIO, packets: list[CapturedPacket]) -> None:
    file.write(struct.pack("=IHHiIII", _PCAP_MAGIC_NS, 2, 4, 0, 0, SNAP_BYTES, _LINKTYPE_RAW))
    for packet in packets:
        seconds = int(packet.at_s)
        nanoseconds = int((packet.at_s - seconds) * 1e9)
        file.write(struct.pack("=IIII", seconds, nanoseconds, len(packet.head), packet.length) + packet.head)
