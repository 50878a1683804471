"""What is read from captured headers: made packets with known losses, gaps, delays and frame lengths."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import pytest

from device_matrix.capture.rtp_capture import SNAP_BYTES, CapturedPacket, _write_pcap
from device_matrix.capture.rtp_streams import CapturedRtp, audio_streams, measure_stream, parse_rtp, unwrap_sequence

OPUS = 111


def ip_packet(payload: bytes, *, protocol: int = 17) -> bytes:
    total = 28 + len(payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0, 64, protocol, 0, b"\x0a\xd5\x00\x01", b"\x0a\xd5\x00\x02")
    return ip + struct.pack("!HHHH", 40000, 50000, 8 + len(payload), 0) + payload


def rtp(sequence: int, timestamp: int, *, payload_type: int = OPUS, ssrc: int = 7, marker: bool = False) -> bytes:
    second = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHII", 0x80, second, sequence % 65536, timestamp % 2**32, ssrc) + bytes(60)


def captured(payload: bytes, at_s: float = 0.0, *, outgoing: bool = False) -> CapturedPacket:
    whole = ip_packet(payload)
    return CapturedPacket(at_s, outgoing, len(whole), whole[:SNAP_BYTES])


def stream(
    sequences: Iterable[int], *, every_s: float = 0.02, delay_s: float = 0.0, first: int = 65500
) -> list[CapturedRtp]:
    return [
        CapturedRtp(
            100 + index * every_s + delay_s, False, OPUS, (first + index) % 65536, index * int(every_s * 48000), 7
        )
        for index in sequences
    ]


def test_rtp_is_told_from_rtcp_stun_dtls_and_tcp() -> None:
    packets = [
        captured(rtp(5, 960)),
        captured(rtp(6, 1920, marker=True)),
        captured(b"\x81\xc8\x00\x06" + bytes(24)),
        captured(b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(20)),
        captured(b"\x16\xfe\xff" + bytes(40)),
        CapturedPacket(0.0, False, 88, ip_packet(rtp(7, 0), protocol=6)),
        captured(b"\x80"),
    ]
    assert [header.sequence for header in parse_rtp(packets)] == [5, 6]


def test_the_busiest_source_of_the_payload_type_is_the_audio() -> None:
    headers = parse_rtp(
        [captured(rtp(n, n)) for n in range(5)]
        + [captured(rtp(n, n, ssrc=8)) for n in range(2)]
        + [captured(rtp(n, n, payload_type=96, ssrc=9)) for n in range(9)]
        + [captured(rtp(n, n), outgoing=True) for n in range(9)]
    )
    found = audio_streams(headers, OPUS, outgoing=False)
    assert {header.ssrc for header in found} == {7}
    assert len(found) == 5


def test_a_whole_stream_across_the_wrap_of_the_sequence_has_no_loss() -> None:
    figures = measure_stream(stream(range(100)), stream(range(100), delay_s=-0.3), until_s=102.0)
    assert figures is not None
    assert (figures.packets, figures.lost) == (100, 0)
    assert figures.ptime_ms == pytest.approx(20)
    assert figures.max_gap_ms == pytest.approx(20)
    assert figures.jitter_ms == pytest.approx(0, abs=1e-6)
    assert figures.owd_p50_ms == pytest.approx(300)
    assert figures.owd_p95_ms == pytest.approx(300)
    assert figures.burst_ratio == 1.0


def test_losses_and_the_longest_silence_are_found() -> None:
    kept = [index for index in range(100) if index not in {10, 40, 41, 42}]
    figures = measure_stream(stream(kept), (), until_s=102.0)
    assert figures is not None
    assert figures.lost == 4
    assert figures.max_gap_ms == pytest.approx(80)
    assert figures.burst_ratio == pytest.approx(2 * 0.96, rel=0.01)
    assert figures.owd_p50_ms is None


def test_silence_up_to_the_intended_end_is_a_gap_and_what_comes_after_is_not_counted() -> None:
    figures = measure_stream(stream(range(50)), (), until_s=100.5)
    assert figures is not None
    assert figures.packets == 26
    late = measure_stream(stream(range(50)), (), until_s=104.0)
    assert late is not None
    assert late.max_gap_ms == pytest.approx(3020)


def test_long_frames_are_seen_in_the_timestamps() -> None:
    figures = measure_stream(stream(range(50), every_s=0.06), (), until_s=103.0)
    assert figures is not None
    assert figures.ptime_ms == pytest.approx(60)


def test_nothing_heard_has_no_figures() -> None:
    assert measure_stream([], [], until_s=1.0) is None


def test_a_late_packet_does_not_turn_the_sequence_back() -> None:
    headers = [CapturedRtp(0, False, OPUS, number, 0, 1) for number in (65534, 0, 65535, 1)]
    assert unwrap_sequence(headers) == [65534, 65536, 65535, 65537]


def test_the_pcap_file_opens_with_the_nanosecond_header_and_keeps_the_stamps(tmp_path: Path) -> None:
    packet = captured(rtp(1, 2), at_s=1700000000.25)
    path = tmp_path / "headers.pcap"
    with path.open("wb") as file:
        _write_pcap(file, [packet])
    data = path.read_bytes()
    assert struct.unpack("=IHHiIII", data[:24]) == (0xA1B23C4D, 2, 4, 0, 0, SNAP_BYTES, 101)
    seconds, nanoseconds, kept, length = struct.unpack("=IIII", data[24:40])
    assert (seconds, nanoseconds, kept, length) == (1700000000, 250_000_000, len(packet.head), packet.length)
