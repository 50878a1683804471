"""Traces in mahimahi's format: a text file, one line for each chance to send 1504 bytes, its time in whole ms.

Times never go back; several lines may bear the same time. After the last line the trace begins again, its last time
being its length. 1504 bytes are an Ethernet payload and the four bytes of mahimahi's tunnel, so a 1500-byte packet
fits one opportunity. (Described in Netravali et al., "Mahimahi: accurate record-and-replay for HTTP", ATC 2015.)
"""

from __future__ import annotations

import itertools
import math
import os
from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from bedrock.input_file import FileUnreadable, name_problem, open_regular
from network_profiles.model.traces.generate import STEP_S, RateStretch

OPPORTUNITY_BYTES = 1504
GAP_S = 1.0
"""A trace without an opportunity for this long counts as an outage where it is sampled, drawn or counted."""
MAX_LENGTH_MS = 86_400_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_FILE_BYTES = 200_000_000
_LONGEST_LINE = 64
_MOST_LINES = MAX_FILE_BYTES // 2


class TraceUnreadable(OSError):
    """A file is not a trace; the message says where and why.

    An OSError, so that a link's own process tells of it as of anything else that it could not open.
    """


class MahimahiTrace(NamedTuple):
    """When a link had room for 1504 bytes."""

    at_ms: array[int]
    """Never going back; the last is the trace's length."""

    @property
    def length_s(self) -> float:
        """After which it begins again."""
        return self.at_ms[-1] / 1000.0

    @property
    def mean_kbit(self) -> float:
        """Mean rate over its whole length, kbit/s."""
        return len(self.at_ms) * OPPORTUNITY_BYTES * 8 / self.at_ms[-1]

    def sampled(self) -> Iterator[RateStretch]:
        """Yields, for ever, the rate of each 100 ms, and 0 for stretches of ``GAP_S`` and more without an opportunity.

        An opportunity counts as earned evenly since the one before it, or else a slow link, whose opportunities are
        further apart than 100 ms, would look like one of many outages.
        """
        stretches = tuple(_sample(self.at_ms))
        while True:
            yield from stretches


def read_trace(path: Path) -> MahimahiTrace:
    """Returns the trace in ``path``; read once for as long as the file stays as it is.

    Raises TraceUnreadable, with the line, when it is not one.
    """
    if problem := name_problem(str(path)):
        raise TraceUnreadable(problem)
    try:
        facts = os.stat(path)
        return _read(str(path), facts.st_mtime_ns, facts.st_size)
    except TraceUnreadable:
        raise
    except FileUnreadable as error:
        raise TraceUnreadable(str(error)) from None
    except FileNotFoundError:
        raise TraceUnreadable("no such file") from None
    except OSError as error:
        raise TraceUnreadable(f"cannot be read: {error.strerror}") from None


@lru_cache(maxsize=32)
def _read(path: str, _changed_at_ns: int, _size_bytes: int) -> MahimahiTrace:
    with open_regular(Path(path), MAX_FILE_BYTES) as lines:
        # Bounded, since a file of /proc says that it is empty and may have no end and no line ends.
        return MahimahiTrace(parse(itertools.islice(iter(lambda: lines.readline(_LONGEST_LINE), b""), _MOST_LINES)))


def parse(lines: Iterable[bytes]) -> array[int]:
    """Returns the times of a trace's lines, in ms. Raises TraceUnreadable."""
    at_ms = array("q")
    before = 0
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(_BYTE_ORDER_MARK).strip() if number == 1 else line.strip()
        if not text:
            continue
        if not text.isdigit() or len(text) > len(str(MAX_LENGTH_MS)):
            shown = ascii(text[:20].decode("latin-1"))[1:-1]
            raise TraceUnreadable(
                f"line {number}: must be whole milliseconds from 0 to {MAX_LENGTH_MS} (got '{shown}')"
            )
        now = int(text)
        if now < before:
            raise TraceUnreadable(f"line {number}: must not be before the line above it, {before} (got {now})")
        at_ms.append(now)
        before = now
    if not at_ms:
        raise TraceUnreadable("has no lines")
    if not 1 <= before <= MAX_LENGTH_MS:
        raise TraceUnreadable(f"must end between 1 and {MAX_LENGTH_MS} ms (ends at {before})")
    return at_ms


def opportunities(stretches: Iterable[RateStretch], length_s: float) -> Iterator[int]:
    """Yields the ms of each chance to send 1504 bytes in the first ``length_s`` of a trace: what ``parse`` reads."""
    at_s = 0.0
    earned_bytes = 0.0
    for lasts_s, kbit in stretches:
        bytes_per_s = kbit * 125.0
        ends_at_s = min(length_s, at_s + lasts_s)
        earned_bytes += (ends_at_s - at_s) * bytes_per_s
        while earned_bytes >= OPPORTUNITY_BYTES:
            earned_bytes -= OPPORTUNITY_BYTES
            yield int((ends_at_s - earned_bytes / bytes_per_s) * 1000.0)
        at_s = ends_at_s
        if at_s >= length_s:
            return


def _sample(at_ms: array[int]) -> Iterator[RateStretch]:
    """The trace once: its service cut into steps, its gaps whole."""
    service: list[int] = []
    starts_ms = 0
    before_ms = 0
    for now_ms in at_ms:
        if now_ms - before_ms >= GAP_S * 1000:
            yield from _steps(service, starts_ms, before_ms)
            yield (now_ms - before_ms) / 1000.0, 0.0
            service = []
            starts_ms = now_ms
        service.append(now_ms)
        before_ms = now_ms
    yield from _steps(service, starts_ms, before_ms)


def _steps(service: list[int], starts_ms: int, ends_ms: int) -> Iterator[RateStretch]:
    """Service without a gap from ``starts_ms`` to ``ends_ms``; what it earned in no time at all counts in its end."""
    length_s = (ends_ms - starts_ms) / 1000.0
    steps = max(1, math.ceil(length_s / STEP_S - 1e-9))
    earned = [0.0] * steps
    before_s = 0.0
    for now_ms in service:
        now_s = (now_ms - starts_ms) / 1000.0
        _spread(earned, before_s, now_s)
        before_s = now_s
    for step, earned_bytes in enumerate(earned):
        lasts_s = min(STEP_S, length_s - step * STEP_S)
        if lasts_s > 0:
            yield lasts_s, earned_bytes * 8 / 1000.0 / lasts_s


def _spread(earned: list[float], from_s: float, to_s: float) -> None:
    """Adds one opportunity to the steps between two times, to each by its share of the time."""
    last = len(earned) - 1
    first = min(last, int(from_s / STEP_S))
    if to_s <= from_s:
        earned[first] += OPPORTUNITY_BYTES
        return
    for step in range(first, min(last, int(to_s / STEP_S)) + 1):
        overlap_s = min(to_s, (step + 1) * STEP_S) - max(from_s, step * STEP_S)
        earned[step] += OPPORTUNITY_BYTES * max(0.0, overlap_s) / (to_s - from_s)
