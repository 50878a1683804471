"""Opens TUN devices.

A TUN device without ``TUNSETOFFLOAD`` offers the kernel no offload. So every packet that we read is a complete IP
packet of at most the MTU, with its checksum.
"""

from __future__ import annotations

import fcntl
import os
import struct

TUN_QUEUE_PACKETS = 4000
"""Queue between the kernel and the daemon. It must never overflow; only the link's own queue may."""

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI, _IFF_TUN_EXCL = 0x0001, 0x1000, 0x8000


def open_tun(name: str) -> int:
    """Returns the descriptor of a new TUN device in this namespace; closing it removes the device.

    Raises OSError: EBUSY when the name is taken.
    """
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # Exclusive: otherwise we would take over an existing device of that name.
        flags = _IFF_TUN | _IFF_NO_PI | _IFF_TUN_EXCL
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
