"""Reads one ICE candidate of the far end (RFC 8839, 5.1) and rejects those that we cannot use."""

from __future__ import annotations

import ipaddress

import aioice

LARGEST_PRIORITY = (1 << 31) - 1
MISSING_FOUNDATION = "0"


def read_candidate(line: str) -> aioice.Candidate | None:
    """Returns the candidate in ``line`` (the text after ``candidate:``); None when we cannot use it.

    Usable is a UDP candidate of the first component with a numeric address. A name (mDNS) is not resolved: the far
    end's own checks reveal its address without a query. Some servers leave the foundation out. It only orders checks,
    so a candidate without one is usable.
    """
    fields = line.split()
    if len(fields) > 1 and fields[1].lower() in ("udp", "tcp"):
        fields.insert(0, MISSING_FOUNDATION)
    try:
        candidate = aioice.Candidate.from_sdp(" ".join(fields))
        address = ipaddress.ip_address(candidate.host)
    except (ValueError, AssertionError, IndexError):
        return None
    if candidate.transport.lower() != "udp" or candidate.component != 1 or "%" in candidate.host:
        return None
    if address.is_unspecified or not 1 <= candidate.port <= 65535 or not 0 <= candidate.priority <= LARGEST_PRIORITY:
        return None
    return candidate
