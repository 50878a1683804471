"""What is made of a call's evidence: the product's failure, whose fault, or nothing that can be said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from calls.records.record import Blame
from device_matrix.attempt.assertions import (
    MediaEvidence,
    judge_media,
    require_cpu_available,
    require_link_model_kept,
    require_media_over_link,
)
from device_matrix.capture.link_drops import LinkDrops
from device_matrix.capture.rtp_streams import StreamFigures
from device_matrix.capture.stats import AudioBothWays
from device_matrix.errors import DeviceUnavailable, LinkUnusable
from device_matrix.hook.samples import PeerConnectionStats, read_connections
from device_matrix.scenarios import SCENARIOS
from device_matrix.scenarios.expectation import ProductFailure

LIMITS = SCENARIOS["audio_call"].limits("3g")
STREAM = StreamFigures(400, 0, 1.0, 9.0, 60.0, 3.0, 20.0, 1.0, 80.0, 90.0)
SILENT = replace(STREAM, max_gap_ms=LIMITS.gap_ms + 500)


def evidence(**changes: Any) -> MediaEvidence:
    whole = MediaEvidence(
        audio=AudioBothWays(heard=STREAM, sent=STREAM, device_send_gap_ms=60.0),
        setup_ms=2500.0,
        effective_loss_ratio=0.01,
        link_drops=0,
        throttled_ratio=0.0,
    )
    return replace(whole, **changes)


def failure_of(found: MediaEvidence) -> tuple[str, Blame]:
    with pytest.raises(ProductFailure) as caught:
        judge_media(found, LIMITS)
    return caught.value.reason, caught.value.blame


def test_a_whole_call_passes() -> None:
    judge_media(evidence(), LIMITS)
    judge_media(evidence(effective_loss_ratio=None), LIMITS)


@pytest.mark.parametrize(
    ("changes", "reason", "blame"),
    [
        ({"setup_ms": None}, "no_audio", Blame.TARGET),
        ({"setup_ms": 10_100.0}, "setup_too_slow", Blame.TARGET),
        ({"setup_ms": 10_100.0, "throttled_ratio": 0.8}, "setup_too_slow", Blame.DEVICE),
        ({"audio": AudioBothWays(None, STREAM, 60.0)}, "no_audio", Blame.TARGET),
        ({"audio": AudioBothWays(STREAM, None, 60.0)}, "no_audio", Blame.TARGET),
        ({"audio": AudioBothWays(SILENT, STREAM, 60.0)}, "gap", Blame.TARGET),
        ({"audio": AudioBothWays(SILENT, STREAM, 60.0), "link_drops": 40}, "gap", Blame.NETWORK),
        ({"audio": AudioBothWays(STREAM, SILENT, 60.0), "link_drops": 40}, "gap", Blame.NETWORK),
        ({"audio": AudioBothWays(STREAM, SILENT, 2500.0), "throttled_ratio": 0.8}, "gap", Blame.DEVICE),
        ({"effective_loss_ratio": 0.2}, "audio_loss", Blame.TARGET),
        ({"effective_loss_ratio": 0.2, "link_drops": 9}, "audio_loss", Blame.NETWORK),
    ],
)
def test_the_first_figure_beyond_its_limit_fails_the_call(changes: dict[str, Any], reason: str, blame: Blame) -> None:
    assert failure_of(evidence(**changes)) == (reason, blame)


def test_a_device_that_stood_still_with_quota_to_spare_was_starved_by_the_machine() -> None:
    with pytest.raises(DeviceUnavailable) as caught:
        judge_media(evidence(audio=AudioBothWays(STREAM, SILENT, 2500.0)), LIMITS)
    assert caught.value.reason == "device_stalled"


def test_on_a_2g_network_more_time_is_given() -> None:
    slow = SCENARIOS["audio_call"].limits("2g")
    judge_media(evidence(setup_ms=15_000.0, effective_loss_ratio=0.15), slow)


@pytest.mark.parametrize("drops", [LinkDrops(harness=1), LinkDrops(late_p99_ms=51.0)])
def test_a_link_that_failed_its_own_model_says_nothing_of_the_product(drops: LinkDrops) -> None:
    with pytest.raises(LinkUnusable):
        require_link_model_kept(drops)


def test_what_the_profile_takes_is_no_trouble() -> None:
    require_link_model_kept(LinkDrops(lost=30, queue=20, outage=10, late_p99_ms=3.0))


def test_a_failure_to_be_in_time_needs_a_machine_that_had_time() -> None:
    slow, wrong = ProductFailure("setup_timeout", "late"), ProductFailure("no_fallback", "still video")
    with pytest.raises(DeviceUnavailable, match="98%"):
        require_cpu_available(slow, 0.98)
    require_cpu_available(slow, 0.6)
    require_cpu_available(slow, None)
    require_cpu_available(wrong, 0.98)


def through(local: str, remote: str) -> PeerConnectionStats:
    pair = {"local": {"address": local}, "remote": {"address": remote}}
    [connection] = read_connections([{"createdAtMs": 1.0, "samples": [{"atMs": 2.0, "pair": pair}]}])
    return connection


def test_media_must_have_taken_the_link() -> None:
    ends = {"device_address": "10.213.0.2", "host_address": "10.213.0.1"}
    require_media_over_link(through("10.213.0.2", "10.213.0.1"), **ends, proven=True)
    with pytest.raises(LinkUnusable) as caught:
        require_media_over_link(through("192.0.2.7", "10.213.0.1"), **ends, proven=False)
    assert caught.value.reason == "link_bypassed"
    with pytest.raises(LinkUnusable) as caught:
        require_media_over_link(None, **ends, proven=True)
    assert caught.value.reason == "link_unproven"
    require_media_over_link(None, **ends, proven=False)
