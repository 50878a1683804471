"""RTP and RTCP on the wire, checked against aiortc's own parsers."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket
from aiortc.rtp import RtpPacket as ReferencePacket
from hypothesis import given
from hypothesis import strategies as st

from calls.media.rtp import rtcp
from calls.media.rtp.rtp_header import ABS_SEND_TIME, MID, RtpHeader, find_extension, owd_s, payload_span
from calls.media.rtp.transport_feedback import TransportFeedback


def extensions_map() -> HeaderExtensionsMap:
    known = HeaderExtensionsMap()
    known.configure(
        RTCRtpParameters(
            headerExtensions=[
                RTCRtpHeaderExtensionParameters(id=2, uri=ABS_SEND_TIME),
                RTCRtpHeaderExtensionParameters(id=4, uri=MID),
            ]
        )
    )
    return known


@pytest.mark.parametrize(
    ("time_id", "mid_id", "mid"), [(2, 4, "0"), (2, None, ""), (None, 4, "audio"), (None, None, "")]
)
def test_a_header_reads_as_it_was_meant(time_id: int | None, mid_id: int | None, mid: str) -> None:
    header = RtpHeader(payload_type=111, ssrc=0xDEADBEEF, abs_send_time_id=time_id, mid_id=mid_id, mid=mid)
    buffer = bytearray(2048)
    header.write(buffer, 65535, 0xFFFFFFF0, True, 100.5)
    payload = b"opus frame"
    length = header.length + len(payload)
    buffer[header.length : length] = payload
    packet = ReferencePacket.parse(bytes(buffer[:length]), extensions_map())
    assert (packet.payload_type, packet.sequence_number, packet.timestamp) == (111, 65535, 0xFFFFFFF0)
    assert (packet.ssrc, packet.marker, packet.payload) == (0xDEADBEEF, 1, payload)
    assert packet.extensions.mid == (mid or None)
    assert packet.extensions.abs_send_time == (int(100.5 % 64 * (1 << 18)) if time_id else None)
    assert payload_span(buffer, length) == (header.length, length)


@pytest.mark.parametrize("sent_s", [0.0, 63.99, 64.0, 12345.678, 1_795_230_603.9])
@pytest.mark.parametrize("delay_s", [-0.002, 0.0, 0.0004, 0.35, 12.0])
def test_one_way_delay_survives_the_wrap_of_64_s(sent_s: float, delay_s: float) -> None:
    header = RtpHeader(payload_type=111, ssrc=1, abs_send_time_id=2, mid_id=4, mid="0")
    buffer = bytearray(64)
    header.write(buffer, 1, 1, False, sent_s)
    at = find_extension(buffer, header.length, 2)
    assert at
    assert owd_s(buffer, at, sent_s + delay_s) == pytest.approx(delay_s, abs=2e-5)


@given(st.binary(min_size=12, max_size=200))
def test_no_packet_however_odd_makes_the_parser_fail_or_leave_the_packet(data: bytes) -> None:
    buffer = bytearray(data)
    span = payload_span(buffer, len(data))
    if span is not None:
        assert 12 <= span[0] <= span[1] <= len(data)
    for identifier in (1, 2, 14):
        at = find_extension(buffer, len(data), identifier)
        assert at == 0 or 12 < at < len(data)


def block(**changes: float) -> rtcp.ReportBlock:
    values: dict[str, object] = {
        "ssrc": 7,
        "fraction_lost": 0.25,
        "packets_lost": 12,
        "highest_sequence": 70000,
        "jitter_units": 480,
        "last_sr": 0x12345678,
        "delay_since_sr_s": 0.5,
        **changes,
    }
    return rtcp.ReportBlock(**values)  # type: ignore[arg-type]


def test_reports_read_as_they_were_meant() -> None:
    compound = rtcp.sender_report(99, 1_795_230_603.25, 480_000, 1000, 60_000, [block()]) + rtcp.source_description(
        99, "rf0123456789ab"
    )
    report, description = RtcpPacket.parse(compound)
    assert isinstance(report, RtcpSrPacket)
    assert isinstance(description, RtcpSdesPacket)
    assert report.ssrc == 99
    assert report.sender_info.ntp_timestamp >> 32 == 1_795_230_603 + 2_208_988_800
    assert (report.sender_info.packet_count, report.sender_info.octet_count) == (1000, 60_000)
    (heard,) = report.reports
    assert (heard.ssrc, heard.fraction_lost, heard.packets_lost, heard.highest_sequence) == (7, 64, 12, 70000)
    assert (heard.jitter, heard.lsr, heard.dlsr) == (480, 0x12345678, 32768)
    assert description.chunks[0].ssrc == 99
    assert dict(description.chunks[0].items)[1] == b"rf0123456789ab"


def test_a_report_of_ours_is_understood_by_us() -> None:
    (_, told) = rtcp.parse(rtcp.sender_report(99, 1_795_230_603.25, 1, 2, 3, [block(packets_lost=-3)]))
    assert told == block(packets_lost=-3)
    (_,) = rtcp.parse(rtcp.picture_loss(1, 2))
    (indication,) = RtcpPacket.parse(rtcp.picture_loss(1, 2))
    assert isinstance(indication, RtcpPsfbPacket)
    assert (indication.fmt, indication.ssrc, indication.media_ssrc) == (1, 1, 2)
    (receiver,) = RtcpPacket.parse(rtcp.receiver_report(5, [block()]))
    assert isinstance(receiver, RtcpRrPacket)
    assert len(receiver.reports) == 1


def test_a_round_trip_is_the_way_there_and_back_without_the_wait() -> None:
    sent_s, wait_s, rtt_s = 1_795_230_603.25, 2.0, 0.730
    heard = block(last_sr=rtcp.middle_ntp(sent_s), delay_since_sr_s=wait_s)
    assert rtcp.round_trip_s(heard, sent_s + wait_s + rtt_s) == pytest.approx(rtt_s, abs=1e-4)
    assert rtcp.round_trip_s(block(last_sr=0), sent_s) is None
    assert rtcp.round_trip_s(heard, sent_s) is None


@given(st.binary(max_size=300))
def test_no_compound_packet_however_odd_makes_the_parser_fail(data: bytes) -> None:
    list(rtcp.parse(data))


def read_feedback(packet: bytes) -> dict[int, float]:
    """Returns arrival times by transport sequence number, as the draft says they are to be read."""
    assert packet[0] == 0x8F
    assert packet[1] == 205
    assert len(packet) == 4 + 4 * struct.unpack_from("!H", packet, 2)[0]
    base, count, reference = struct.unpack_from("!HHI", packet, 12)
    time_s = (reference >> 8) * 0.064
    chunks = -(-count // 7)
    symbols = []
    for number in range(chunks):
        (word,) = struct.unpack_from("!H", packet, 20 + 2 * number)
        assert word & 0xC000 == 0xC000
        symbols += [word >> shift & 3 for shift in range(12, -1, -2)]
    at, arrivals = 20 + 2 * chunks, {}
    for place, symbol in enumerate(symbols[:count]):
        if symbol:
            (delta,) = struct.unpack_from("!B" if symbol == 1 else "!h", packet, at)
            at += symbol
            time_s += delta * 0.00025
            arrivals[base + place & 0xFFFF] = time_s
    return arrivals


def test_transport_feedback_tells_every_arrival_and_every_gap() -> None:
    feedback = TransportFeedback(own_ssrc=1)
    sent = {65534: 10.000, 65535: 10.0101, 0: 10.011, 3: 10.5, 4: 10.4995}
    for sequence, now_s in sent.items():
        feedback.arrived(sequence, 2, now_s)
    packet = feedback.take()
    assert packet is not None
    arrivals = read_feedback(packet)
    assert arrivals.keys() == sent.keys()
    for sequence, now_s in sent.items():
        assert arrivals[sequence] == pytest.approx(now_s, abs=0.0003)
    assert feedback.take() is None
    feedback.arrived(6, 2, 10.6)
    packet = feedback.take()
    assert packet is not None
    assert struct.unpack_from("!HH", packet, 12) == (5, 2)
