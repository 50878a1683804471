"""The capture on a real link: what leaves one end is found at the other, with its delay."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from waiting import HANG_LIMIT_S, eventually

from device_matrix.capture.rtp_capture import LinkCapture
from device_matrix.capture.rtp_streams import audio_streams, measure_stream, parse_rtp
from device_matrix.errors import LinkUnusable
from network_profiles import load_catalogue, missing_prerequisites, open_link

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing_prerequisites()), reason="no shaped links on this machine"),
]

SEND_RTP = """
import socket, struct, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(40):
    out.sendto(struct.pack("!BBHII", 0x80, 111, number, number * 960, 77) + bytes(60), (sys.argv[1], 40000))
    time.sleep(0.02)
"""


def test_a_stream_through_a_link_is_seen_at_both_ends_with_its_one_way_delay(tmp_path: Path) -> None:
    profile = load_catalogue()["hspa_35g"]
    with open_link(profile, seed=1, name="capture-test") as link:
        capture = LinkCapture(link_pid=link.pid, host_device=link.device)
        capture.start()
        try:
            command = [*link.exec_prefix, sys.executable, "-S", "-c", SEND_RTP, link.host_address]
            subprocess.run(command, check=True, timeout=HANG_LIMIT_S)
            assert eventually(lambda: len(parse_rtp(capture.host_tap.packets)) >= 36)
            late_ms = link.counters().up.late_max_ms or 0.0
        finally:
            capture.stop()
    sent = audio_streams(parse_rtp(capture.device_tap.packets), 111, outgoing=True)
    heard = audio_streams(parse_rtp(capture.host_tap.packets), 111, outgoing=False)
    figures = measure_stream(heard, sent, until_s=time.time())
    assert len(sent) == 40
    assert figures is not None
    assert figures.ptime_ms == pytest.approx(20)
    assert figures.owd_p50_ms is not None
    assert (
        profile.up.owd_ms - 3 * profile.up.jitter_ms
        < figures.owd_p50_ms
        < profile.up.owd_ms + 3 * profile.up.jitter_ms + late_ms
    )
    capture.write_pcap(tmp_path / "headers.pcap")
    assert (tmp_path / "headers.pcap").stat().st_size > 24 + 40 * (16 + 40)
    capture.stop()


def test_a_link_that_is_gone_cannot_be_captured() -> None:
    with pytest.raises(LinkUnusable) as caught:
        LinkCapture(link_pid=1, host_device="rf-none")
    assert caught.value.reason == "no_capture"
