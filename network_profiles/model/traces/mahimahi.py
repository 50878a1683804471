"""Reads traces in mahimahi's format: a text file with one line, a time in ms, per opportunity to send 1504 bytes.

Times never decrease; several lines may have the same time. The last time is the trace's length; after it the trace
starts again. 1504 bytes are an Ethernet payload and the 4 bytes of mahimahi's tunnel, so a 1500-byte packet fits one
opportunity. (Described in Netravali et al., "Mahimahi: accurate record-and-replay for HTTP", ATC 2015.)
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
from network_profiles.model.traces.generate import STEP_S, RateSegment

OPPORTUNITY_BYTES = 1504
MIN_GAP_S = 1.0
"""A time without an opportunity of at least this length counts as an outage in samples, drawings and counts."""
MAX_LENGTH_MS = 86_400_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_FILE_BYTES = 200_000_000
_LONGEST_LINE = 64
_MOST_LINES = MAX_FILE_BYTES // 2


class TraceUnreadable(OSError):
    """A file is not a trace. The message names the line and the reason.

    It is an OSError, so that a link's daemon reports it like any other file that it cannot open.
    """


class MahimahiTrace(NamedTuple):
    """The times at which a link could send 1504 bytes."""

    at_ms: array[int]
    """Never decreasing. The last one is the trace's length."""

    @property
    def length_s(self) -> float:
        """Length of the trace; after it the trace starts again."""
        return self.at_ms[-1] / 1000.0

    @property
    def mean_kbit(self) -> float:
        """Mean rate over the whole length."""
        return len(self.at_ms) * OPPORTUNITY_BYTES * 8 / self.at_ms[-1]

    def sampled(self) -> Iterator[RateSegment]:
        """Yields, for ever, the rate of each 100 ms; 0 for ``MIN_GAP_S`` and more without an opportunity.

        The bytes of an opportunity are spread evenly over the time since the one before it. Otherwise a slow link,
        whose opportunities are more than 100 ms apart, would seem to have many outages.
        """
        segments = tuple(_sample(self.at_ms))
        while True:
            yield from segments


def read_trace(path: Path) -> MahimahiTrace:
    """Returns the trace in ``path``. An unchanged file is read only once.

    Raises TraceUnreadable, with the line, when the file is not a trace.
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
        # Bounded: a file of /proc reports size 0, and may have no end and no line ends.
        return MahimahiTrace(
            parse_trace(itertools.islice(iter(lambda: lines.readline(_LONGEST_LINE), b""), _MOST_LINES))
        )


def parse_trace(lines: Iterable[bytes]) -> array[int]:
    """Returns the time of each line of a trace, in ms. Raises TraceUnreadable."""
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


def opportunity_times_ms(segments: Iterable[RateSegment], length_s: float) -> Iterator[int]:
    """Yields the ms of each opportunity in the first ``length_s`` of a trace, as ``parse_trace`` would read them."""
    at_s = 0.0
    earned_bytes = 0.0
    for lasts_s, kbit in segments:
        bytes_per_s = kbit * 125.0
        ends_at_s = min(length_s, at_s + lasts_s)
        earned_bytes += (ends_at_s - at_s) * bytes_per_s
        while earned_bytes >= OPPORTUNITY_BYTES:
            earned_bytes -= OPPORTUNITY_BYTES
            yield int((ends_at_s - earned_bytes / bytes_per_s) * 1000.0)
        at_s = ends_at_s
        if at_s >= length_s:
            return


def _sample(at_ms: array[int]) -> Iterator[RateSegment]:
    """Yields the trace once: its service in steps of 100 ms, each gap as one segment."""
    service: list[int] = []
    starts_ms = 0
    before_ms = 0
    for now_ms in at_ms:
        if now_ms - before_ms >= MIN_GAP_S * 1000:
            yield from _steps(service, starts_ms, before_ms)
            yield (now_ms - before_ms) / 1000.0, 0.0
            service = []
            starts_ms = now_ms
        service.append(now_ms)
        before_ms = now_ms
    yield from _steps(service, starts_ms, before_ms)


def _steps(service: list[int], starts_ms: int, ends_ms: int) -> Iterator[RateSegment]:
    """Yields the rates of service without a gap. Opportunities at its very start count in its first step."""
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
    """Spreads the bytes of one opportunity over the steps between two times, by each step's share."""
    last = len(earned) - 1
    first = min(last, int(from_s / STEP_S))
    if to_s <= from_s:
        earned[first] += OPPORTUNITY_BYTES
        return
    for step in range(first, min(last, int(to_s / STEP_S)) + 1):
        overlap_s = min(to_s, (step + 1) * STEP_S) - max(from_s, step * STEP_S)
        earned[step] += OPPORTUNITY_BYTES * max(0.0, overlap_s) / (to_s - from_s)
