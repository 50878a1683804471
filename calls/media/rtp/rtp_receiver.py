"""Counts and times the audio packets that one leg receives, and feeds them to the playout buffer model."""

from __future__ import annotations

from collections.abc import Callable

from calls.media.audio.talk_spurts import COMFORT_S
from calls.media.interface import AudioWindow
from calls.media.rtp.one_way_delay import OneWayDelay
from calls.media.rtp.playout import PlayoutBuffer
from calls.media.rtp.rtcp import ReportBlock
from calls.media.rtp.windows import WindowCounter

CLOCK_RATE = 48_000
_UNITS_A_MS = CLOCK_RATE / 1000
_SEEN_BITS = 512
_SEEN_MASK = (1 << _SEEN_BITS) - 1
_SHORTEST_SILENCE_MS = 1.0
_COMFORT_MS = 1000 * COMFORT_S


class AudioReceiver:
    """One incoming audio stream. Handles wrapped sequence numbers and timestamps, duplicates and reordering."""

    def __init__(
        self,
        abs_send_time_id: int | None,
        on_first: Callable[[float], None],
        *,
        sender_clock_s: float = 0.0,
        foreign_rtt_ms: Callable[[], float | None] | None = None,
    ) -> None:
        """``sender_clock_s`` and ``foreign_rtt_ms``: see ``OneWayDelay``."""
        self._owd = OneWayDelay(abs_send_time_id or 0, sender_clock_s, foreign_rtt_ms)
        self.owd = self._owd.histogram
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
        self._path_validated = False
        self._on_heard_again: Callable[[float], None] = _ignore_time
        self._gaps_count_in_moves = True
        self._windows = WindowCounter()
        self.playout = PlayoutBuffer()
        self.jitter_ms = 0.0
        self.ptime_ms = 20.0
        self.received = 0
        self.payload_bytes = 0
        self.talk_bytes = 0
        self.talk_ms = 0.0
        """Duration of the received audio, without the silences of a sender with DTX."""
        self.spurts = 0
        """Number of times the far end started to talk after a DTX silence."""
        self.duplicates = 0
        self.reordered = 0
        self.late_packets = 0.0
        self.first_at_s: float | None = None
        self.last_at_s = 0.0
        self.max_gap_ms = 0.0
        self.move_gap_ms: float | None = None
        """The longest silence while a side changed networks; None when no side did."""

    @property
    def ssrc(self) -> int | None:
        """The far end's SSRC; None before its first packet."""
        return self._ssrc

    @property
    def last_owd_ms(self) -> float | None:
        """One-way delay of the last packet; None before the first that could be measured."""
        return self._owd.last_ms

    @property
    def expected(self) -> int:
        """Number of packets from the first received to the highest sequence number received."""
        return self._expected_before + (self._highest - self._base + 1 if self._ssrc is not None else 0)

    @property
    def lost(self) -> int:
        """Number of packets missing in the sequence numbers."""
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
                return self._on_old_packet(0x10000 - ahead if ahead else 0)
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
        owd_ms = self._owd.measure(data, length, now_s)
        late = self.playout.offer(self._last_transit_ms, self.ptime_ms)
        self.late_packets += late
        if not self._paused:
            self._windows.packet(now_s, gap, late, payload_size, owd_ms, self.playout.delay_ms, self.ptime_ms, talk)
        return True

    @property
    def paused(self) -> bool:
        """Whether no audio is expected, because the call is on hold."""
        return self._paused

    def expect(self, on: bool, now_s: float, begins_at_s: float) -> None:
        """Tells whether audio is expected from now on. Silence while it is not expected is no gap.

        ``begins_at_s`` is the earliest time at which audio can arrive: the far end starts when it has our answer.
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
        """Whether a side has left its network and no audio has arrived on the new path yet."""
        return self._moving

    def begin_move(self, on_heard_again: Callable[[float], None], *, planned: bool) -> None:
        """Notes that a side has left its network; ``on_heard_again`` is called when audio arrives on the new path.

        The silence from the last packet on the old path until then goes to ``move_gap_ms``. With ``planned`` it does
        not count as a gap of the call.
        """
        self._moving, self._path_validated = True, False
        self._on_heard_again, self._gaps_count_in_moves = on_heard_again, not planned

    def on_path_validated(self, now_s: float) -> None:
        """Notes that ICE has validated the new path. The next packet ends the move; on hold it ends at once."""
        self._path_validated = self._moving
        if self._moving and (self._paused or self.first_at_s is None):
            self._end_move(now_s)

    def stop(self, now_s: float) -> None:
        """Ends the count. The silence up to now is still a gap; everything later is ignored."""
        if not self._stopped:
            self._stopped = True
            self._on_first = self._on_heard_again = _ignore_time
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
        """Returns the RTCP report block for the time since the last report; None before the first packet."""
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
        """Starts with the first packet, or with a new SSRC of the same person after a renegotiation."""
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

    def _on_old_packet(self, behind: int) -> bool:
        bit = 1 << behind
        if behind >= _SEEN_BITS or self._seen & bit or self._highest - behind < self._base:
            self.duplicates += 1
            return False
        self._seen |= bit
        self.received += 1
        self.reordered += 1
        self._windows.reordered_packet()
        return True

    def _time(self, timestamp: int, ahead: int, marker: bool, now_s: float) -> bool:
        """Updates jitter and gaps from the RTP timestamp; returns whether the packet is talk, not comfort noise.

        A sender in DTX sends nothing, or a frame of comfort noise now and then, while its timestamps go on. So the
        timestamps tell how much of a wait was intended. At most one interval of comfort noise counts as intended.
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
                self._count_move_gap(waited_ms, now_s)
            else:
                self.max_gap_ms = max(self.max_gap_ms, waited_ms)
        if silent_ms and marker:
            self.spurts += 1
        return not silent_ms or marker

    def _count_move_gap(self, waited_ms: float, now_s: float) -> None:
        self.move_gap_ms = max(self.move_gap_ms or 0.0, waited_ms)
        if self._gaps_count_in_moves:
            self.max_gap_ms = max(self.max_gap_ms, waited_ms)
        if self._path_validated:
            self._end_move(now_s)

    def _end_move(self, now_s: float) -> None:
        self._moving = self._path_validated = False
        heard_again, self._on_heard_again = self._on_heard_again, _ignore_time
        heard_again(now_s)


def _ignore_time(_now_s: float) -> None:
    """Replaces a callback that would keep a closed leg alive."""
