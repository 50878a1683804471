"""What one leg hears: every audio packet counted, timed, and passed through the modelled playout buffer."""

from __future__ import annotations

from collections.abc import Callable

from calls.histograms import MsHistogram
from calls.media.audio.talk_spurts import COMFORT_S
from calls.media.interface import AudioWindow
from calls.media.rtp.playout import PlayoutBuffer
from calls.media.rtp.rtcp import ReportBlock
from calls.media.rtp.rtp_header import ABS_WRAP_S, find_extension, owd_s
from calls.media.rtp.windows import WindowCounter

CLOCK_RATE = 48_000
_UNITS_A_MS = CLOCK_RATE / 1000
_SEEN_BITS = 512
_SEEN_MASK = (1 << _SEEN_BITS) - 1
_MAX_PLAUSIBLE_OWD_S = 16.0
_SHORTEST_SILENCE_MS = 1.0
_COMFORT_MS = 1000 * COMFORT_S


class AudioReceiver:
    """One incoming audio stream. Sequence numbers and timestamps wrap; packets may come twice or out of order."""

    def __init__(
        self,
        abs_send_time_id: int | None,
        on_first: Callable[[float], None],
        *,
        sender_clock_s: float = 0.0,
        foreign_rtt_ms: Callable[[], float | None] | None = None,
    ) -> None:
        """``sender_clock_s`` is how far the clock of the far end's abs-send-time is ahead of our monotonic one.

        Nobody knows that of another machine's clock: then ``foreign_rtt_ms`` gives the shortest round trip so far, and
        the fastest packet is taken to have needed half of it, which is wrong by at most that half (as NTP reasons,
        RFC 5905, 8: the true offset lies within half the round trip's delay).
        """
        self._foreign_rtt_ms = foreign_rtt_ms
        self._foreign_first_s: float | None = None
        self._foreign_fastest_s = 0.0
        self._time_id = abs_send_time_id or 0
        self._sender_clock_s = sender_clock_s
        self._time_at = 0
        self._on_first = on_first
        self._ssrc: int | None = None
        self._base = 0
        self._highest = 0
        self._seen = 0
        self._expected_before = 0
        self._last_timestamp = 0
        self._media_ms = 0.0
        self._last_transit_ms = 0.0
        self._reported_expected = 0
        self._reported_received = 0
        self._stopped = False
        self._paused = False
        self._moving = False
        self._path_stands = False
        self._on_heard_again: Callable[[float], None] = _told
        self._gaps_count_in_moves = True
        self._windows = WindowCounter()
        self.playout = PlayoutBuffer()
        self.owd = MsHistogram()
        self.last_owd_ms: float | None = None
        self.jitter_ms = 0.0
        self.ptime_ms = 20.0
        self.received = 0
        self.payload_bytes = 0
        self.talk_bytes = 0
        self.talk_ms = 0.0
        """Audio in the packets heard while the far end talked: all of it, unless it falls silent (DTX)."""
        self.spurts = 0
        """How often the far end began to talk after a silence of its own."""
        self.duplicates = 0
        self.reordered = 0
        self.late_packets = 0.0
        self.first_at_s: float | None = None
        self.last_at_s = 0.0
        self.max_gap_ms = 0.0
        self.move_gap_ms: float | None = None
        """The longest silence while a side changed networks; None when none did."""

    @property
    def ssrc(self) -> int | None:
        """The far end's, None before its first packet."""
        return self._ssrc

    @property
    def expected(self) -> int:
        """Packets from the first heard to the highest sequence number heard."""
        return self._expected_before + (self._highest - self._base + 1 if self._ssrc is not None else 0)

    @property
    def lost(self) -> int:
        """Gaps in the sequence numbers."""
        return max(0, self.expected - self.received)

    def on_packet(self, data: bytearray, length: int, payload_size: int, now_s: float) -> bool:
        """Counts one RTP packet; returns whether its payload is new."""
        if self._stopped:
            return False
        sequence = data[2] << 8 | data[3]
        timestamp = data[4] << 24 | data[5] << 16 | data[6] << 8 | data[7]
        ssrc = data[8] << 24 | data[9] << 16 | data[10] << 8 | data[11]
        talk = True
        if ssrc != self._ssrc:
            self._start(ssrc, sequence, timestamp, now_s)
            gap = 0
        else:
            ahead = (sequence - self._highest) & 0xFFFF
            if ahead == 0 or ahead >= 0x8000:
                return self._take_old(0x10000 - ahead if ahead else 0)
            gap = ahead - 1
            self._highest += ahead
            self._seen = (self._seen << ahead | 1) & _SEEN_MASK
            talk = self._time(timestamp, ahead, data[1] & 0x80 != 0, now_s)
        self.received += 1
        self.payload_bytes += payload_size
        if talk:
            self.talk_bytes += payload_size
            self.talk_ms += self.ptime_ms
        self.last_at_s = now_s
        owd_ms = self._measure_owd(data, length, now_s)
        late = self.playout.offer(self._last_transit_ms, self.ptime_ms)
        self.late_packets += late
        if not self._paused:
            self._windows.packet(now_s, gap, late, payload_size, owd_ms, self.playout.delay_ms, self.ptime_ms, talk)
        return True

    @property
    def paused(self) -> bool:
        """Whether nothing is expected now: the call is on hold."""
        return self._paused

    def expect(self, on: bool, now_s: float, begins_at_s: float) -> None:
        """The far end was asked to fall silent, or to be heard again: silence between the two is no gap.

        ``begins_at_s``: when it can be heard at the earliest; it begins when it has our answer.
        """
        if on is not self._paused or self._stopped:
            return
        self._paused = not on
        if self.first_at_s is None:
            return
        if on:
            self.last_at_s = begins_at_s
            self._windows.start(begins_at_s)
        else:
            self.max_gap_ms = max(self.max_gap_ms, (now_s - self.last_at_s) * 1000)
            self._windows.finish(now_s, self.ptime_ms)

    @property
    def moving(self) -> bool:
        """Whether a side has left its network and the far end was not heard again yet."""
        return self._moving

    def begin_move(self, on_heard_again: Callable[[float], None], *, planned: bool) -> None:
        """A side has left its network: the silence since the last packet, and until the far end is heard on the new
        path, is the move's. ``planned``: then it is no gap of the call. ``on_heard_again`` is called at its end."""
        self._moving, self._path_stands = True, False
        self._on_heard_again, self._gaps_count_in_moves = on_heard_again, not planned

    def on_path_validated(self, now_s: float) -> None:
        """The new path has passed its checks: the next packet ends the move, or nothing when none is expected."""
        self._path_stands = self._moving
        if self._moving and (self._paused or self.first_at_s is None):
            self._end_move(now_s)

    def stop(self, now_s: float) -> None:
        """The intended end: the silence up to now still counts, nothing after it does."""
        if not self._stopped:
            self._stopped = True
            self._on_first = self._on_heard_again = _told
            if self.first_at_s is not None and not self._paused:
                self.max_gap_ms = max(self.max_gap_ms, (now_s - self.last_at_s) * 1000)
                self._windows.finish(now_s, self.ptime_ms)

    def windows(self) -> tuple[AudioWindow, ...]:
        """Returns the finished windows, with monotonic times."""
        return tuple(self._windows.finished)

    def last_window(self) -> AudioWindow | None:
        """Returns the last finished window."""
        return self._windows.finished[-1] if self._windows.finished else None

    def report(self, last_sr: int, delay_since_sr_s: float) -> ReportBlock | None:
        """Returns the report block for the interval since the last report, None before the first packet."""
        if self._ssrc is None:
            return None
        expected, received = self.expected, self.received
        new_expected = expected - self._reported_expected
        new_lost = new_expected - (received - self._reported_received)
        self._reported_expected, self._reported_received = expected, received
        return ReportBlock(
            ssrc=self._ssrc,
            fraction_lost=new_lost / new_expected if new_expected > 0 and new_lost > 0 else 0.0,
            packets_lost=expected - received,
            highest_sequence=self._highest,
            jitter_units=int(self.jitter_ms * _UNITS_A_MS),
            last_sr=last_sr,
            delay_since_sr_s=delay_since_sr_s,
        )

    def _start(self, ssrc: int, sequence: int, timestamp: int, now_s: float) -> None:
        """The first packet of all, or of a new stream of the same person (a browser that renegotiated)."""
        if self._ssrc is None:
            self.first_at_s = now_s
            self._windows.start(now_s)
            self._on_first(now_s)
        else:
            self._expected_before = self.expected
            self.max_gap_ms = max(self.max_gap_ms, (now_s - self.last_at_s) * 1000)
        self._ssrc = ssrc
        self._base = self._highest = sequence
        self._seen = 1
        self._last_timestamp = timestamp
        self._media_ms = 0.0
        self._last_transit_ms = now_s * 1000
        self.playout = PlayoutBuffer()

    def _take_old(self, behind: int) -> bool:
        bit = 1 << behind
        if behind >= _SEEN_BITS or self._seen & bit or self._highest - behind < self._base:
            self.duplicates += 1
            return False
        self._seen |= bit
        self.received += 1
        self.reordered += 1
        self._windows.found_again()
        return True

    def _time(self, timestamp: int, ahead: int, marker: bool, now_s: float) -> bool:
        """Follows the media clock; returns whether this packet is talk, not comfort noise in a silence.

        A sender that falls silent sends nothing, or a frame of comfort noise now and then, and its media clock goes
        on: the timestamps tell how much of the wait was meant. More than one interval of comfort noise never is.
        """
        step = (timestamp - self._last_timestamp) & 0xFFFFFFFF
        step_ms = (step if step < 0x80000000 else step - 0x100000000) / _UNITS_A_MS
        if ahead == 1 and not marker and 2.5 <= step_ms <= 120:
            self.ptime_ms = step_ms
        silent_ms = step_ms - ahead * self.ptime_ms
        if silent_ms < _SHORTEST_SILENCE_MS:
            silent_ms = 0.0
        self._last_timestamp = timestamp
        self._media_ms += step_ms
        transit_ms = now_s * 1000 - self._media_ms
        # RFC 3550, A.8.
        self.jitter_ms += (abs(transit_ms - self._last_transit_ms) - self.jitter_ms) / 16
        self._last_transit_ms = transit_ms
        if not self._paused:
            waited_ms = (now_s - self.last_at_s) * 1000 - min(silent_ms, _COMFORT_MS)
            if self._moving:
                self._wait_in_move(waited_ms, now_s)
            else:
                self.max_gap_ms = max(self.max_gap_ms, waited_ms)
        if silent_ms and marker:
            self.spurts += 1
        return not silent_ms or marker

    def _wait_in_move(self, waited_ms: float, now_s: float) -> None:
        self.move_gap_ms = max(self.move_gap_ms or 0.0, waited_ms)
        if self._gaps_count_in_moves:
            self.max_gap_ms = max(self.max_gap_ms, waited_ms)
        if self._path_stands:
            self._end_move(now_s)

    def _end_move(self, now_s: float) -> None:
        self._moving = self._path_stands = False
        heard_again, self._on_heard_again = self._on_heard_again, _told
        heard_again(now_s)

    def _measure_owd(self, data: bytearray, length: int, now_s: float) -> float | None:
        if not self._time_id:
            return None
        at = self._time_at
        # The extension stands where it stood in the last packet, nearly always.
        if not (at and at + 3 <= length and data[0] & 0x10 and data[at - 1] == self._time_id << 4 | 2):
            at = self._time_at = find_extension(data, length, self._time_id)
            if not at or at + 3 > length:
                return None
        delay_s = owd_s(data, at, now_s + self._sender_clock_s)
        if self._foreign_rtt_ms is not None:
            estimated_s = self._estimate_owd_s(delay_s, self._foreign_rtt_ms())
            if estimated_s is None:
                return None
            delay_s = estimated_s
        elif abs(delay_s) > _MAX_PLAUSIBLE_OWD_S:
            return None
        owd_ms = self.last_owd_ms = delay_s * 1000
        self.owd.record(owd_ms)
        return owd_ms

    def _estimate_owd_s(self, raw_s: float, rtt_ms: float | None) -> float | None:
        """Of a clock that has nothing to do with ours; None before the first round trip is known."""
        if self._foreign_first_s is None:
            self._foreign_first_s = raw_s
        half_wrap_s = ABS_WRAP_S / 2
        over_first_s = (raw_s - self._foreign_first_s + half_wrap_s) % ABS_WRAP_S - half_wrap_s
        self._foreign_fastest_s = min(self._foreign_fastest_s, over_first_s)
        return over_first_s - self._foreign_fastest_s + rtt_ms / 2000 if rtt_ms is not None else None


def _told(_now_s: float) -> None:
    """Nobody waits for a first packet any more: a leg that listened could not be freed."""
