"""Whole legs over real sockets: what works, what is refused, and what fails within a bounded time."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest
from media_calls import Call, Ear, factory, link_of, open_leg, place, spec, until

from calls.media.errors import BadDescription, MediaError
from calls.media.ice.transport import ConnectLimits
from calls.media.interface import MediaEvent
from calls.records.record import Tier

pytestmark = pytest.mark.held_time

IMPATIENT = ConnectLimits(ice_s=0.5, dtls_s=0.5)


async def test_two_legs_hear_each_other_and_every_packet_counts() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        await until(lambda: call.caller.live().packets_received >= 40 and call.caller.live().rtt_ms is not None)
        live = call.caller.live()
        health = made.health()
        for stats in await call.close():
            assert stats.failure == ""
            assert stats.ice_at_s is not None
            assert stats.dtls_at_s is not None
            assert stats.first_audio_at_s is not None
            assert stats.ice_at_s <= stats.dtls_at_s <= stats.first_audio_at_s
            assert stats.packets_received >= 40
            assert (stats.packets_lost, stats.send_errors, stats.garbage_datagrams) == (0, 0, 0)
            assert stats.owd_clock == "same_clock"
            assert stats.owd_p50_ms is not None
            assert 0 < stats.owd_p50_ms < 0.1, "the wire takes no time"
            assert stats.send_late_p99_ms is not None
            assert stats.send_late_p99_ms < 1, "a packet waits for its tick and for nothing else"
            assert stats.max_gap_ms == pytest.approx(20, abs=1)
            assert stats.ptime_ms == 20
            assert stats.audio_kbit is not None
            assert 10 < stats.audio_kbit < 40
        assert live.state == "connected"
        assert live.rtt_ms is not None
        assert live.rtt_ms < 0.1
        assert health.packets_sent >= 80
        assert health.active_legs == 2
        assert health.callback_errors == 0
        assert health.datagrams_dropped == 0
        assert made.health().packets_sent >= health.packets_sent
        assert made.health().active_legs == 0


async def test_the_far_end_s_wish_for_long_frames_and_few_bits_is_obeyed() -> None:
    async with factory() as made:
        call = await place(made, spec(1), spec(2, audio_kbit=12, ptime_ms=60))
        await call.both_hear()
        await until(lambda: call.caller.live().packets_received >= 20 and call.callee.live().packets_received >= 20)
        live = call.caller.live()
        assert (live.asked_ptime_ms, live.asked_audio_kbit) == (60, 12.0)
        assert (live.sending_ptime_ms, live.sending_audio_kbit) == (60, 12.0)
        for stats in await call.close():
            assert stats.ptime_ms == 60
            assert stats.audio_kbit is not None
            assert stats.audio_kbit < 14


async def test_video_flows_stops_starts_and_a_keyframe_comes_when_asked() -> None:
    async with factory() as made:
        call = await place(made, spec(1, media="video"), spec(2, media="video"))
        await until(lambda: call.callee.live().video_frames_received >= 5)
        assert call.caller.live().media == "video"
        call.caller.set_video_sending(False)
        assert call.caller.live().media == "audio"
        stopped_at = call.caller.live().video_frames_sent
        await until(lambda: call.caller.live().video_frames_received >= 10)
        assert call.caller.live().video_frames_sent == stopped_at
        call.caller.set_video_sending(True)
        await until(lambda: call.callee.live().video_frames_received >= stopped_at + 3)
        sender, receiver = call.caller.streams.video_sender, call.callee.streams.video_receiver
        assert sender is not None
        assert receiver is not None
        asked = sender.keyframe_requests
        receiver._ask_keyframe(call.caller.streams.video_ssrc)
        await until(lambda: sender.keyframe_requests == asked + 1)
        caller, callee = await call.close()
        assert callee.video_frames_received >= stopped_at + 3
        assert caller.packets_received < caller.video_frames_received * 50


async def test_an_audio_leg_refuses_offered_video_and_the_call_goes_on() -> None:
    async with factory() as made:
        call = await place(made, spec(1, media="video"), spec(2))
        await call.both_hear()
        assert call.caller.live().media == call.callee.live().media == "audio"
        caller, _ = await call.close()
        assert caller.video_frames_sent == 0


async def test_a_slow_lossy_link_delays_and_loses_what_passes_it() -> None:
    async with factory() as made:
        link = link_of(made, owd_ms=60.0, loss_ratio=0.2)
        call = await place(made, spec(1, access_link=link), spec(2))
        await call.both_hear()
        await until(lambda: call.callee.live().packets_received >= 60)
        caller, callee = await call.close()
        link.close()
        for stats in (caller, callee):
            assert stats.owd_p50_ms is not None
            assert stats.owd_p50_ms == pytest.approx(60, rel=0.02)
            assert 0.05 < stats.packets_lost / (stats.packets_lost + stats.packets_received) < 0.4
            assert stats.send_errors == 0
        assert link.counters.drops["loss"] >= caller.packets_lost
        assert caller.mouth_to_ear_ms is not None
        assert caller.mouth_to_ear_ms == pytest.approx(20 + 6.5 + 60 + 35, abs=5), "frame, codec, way, buffer"


async def test_two_probes_hear_the_known_voice_and_how_late_it_came() -> None:
    async with factory() as made:
        link = link_of(made, owd_ms=150.0)
        call = await place(made, spec(1, tier=Tier.MEDIA, access_link=link), spec(2, tier=Tier.MEDIA))
        await call.both_hear()
        assert made.health().active_probe_legs == 2
        await until(lambda: call.caller.streams.probe.scores and call.callee.streams.probe.scores)
        for stats in await call.close():
            assert stats.audio_score is not None
            assert stats.audio_score > 0.8
            assert stats.mouth_to_ear_ms is not None
            assert 20 + 6.5 + 150 < stats.mouth_to_ear_ms < 20 + 6.5 + 150 + 60
        link.close()


async def test_a_peer_that_never_answers_fails_in_bounded_time() -> None:
    async with factory(IMPATIENT) as made:
        ear = Ear()
        leg = await open_leg(made, spec(1), ear)
        other = await open_leg(made, spec(2), Ear())
        answer = (await other.create_offer()).replace("setup:actpass", "setup:active")
        await leg.create_offer()
        await other.close()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await leg.accept_answer(answer)
        await ear.wait(MediaEvent.FAILED)
        assert loop.time() - began_s == pytest.approx(IMPATIENT.ice_s, abs=0.05)
        assert leg.failure == "ice_timeout"
        stats = await leg.close()
        assert stats.failure == "ice_timeout"
        assert stats.effective_loss_ratio is None
        assert stats.max_gap_ms is None


async def test_a_wrong_fingerprint_fails_the_handshake() -> None:
    async with factory() as made:
        caller_ear = Ear()
        caller = await open_leg(made, spec(1), caller_ear)
        callee = await open_leg(made, spec(2), Ear())
        answer = await callee.accept_offer(await caller.create_offer())
        head, _, tail = answer.partition("a=fingerprint:sha-256 ")
        await caller.accept_answer(f"{head}a=fingerprint:sha-256 {'00' if tail[:2] != '00' else '11'}{tail[2:]}")
        await caller_ear.wait(MediaEvent.FAILED)
        assert caller.failure == "dtls_failed"
        assert MediaEvent.FIRST_AUDIO not in caller_ear.events
        assert (await caller.close()).packets_sent == 0


async def expect_more_audio(call: Call) -> None:
    heard = call.caller.live().packets_received
    await until(lambda: call.caller.live().packets_received >= heard + 20)


def garbage() -> list[bytes]:
    rng = random.Random(5)
    shapes = [(first, size) for first in (0, 1, 22, 64, 128, 144, 255) for size in (1, 7, 19, 60, 1400)]
    return [bytes([first]) + rng.randbytes(size - 1) for first, size in shapes] + [b""]


async def test_garbage_of_the_far_end_is_counted_and_hurts_nobody() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        for datagram in garbage():
            call.callee.transport._socket.send_to_peer(datagram)
        await until(lambda: call.caller.transport.garbage >= 20)
        await expect_more_audio(call)
        assert made.health().callback_errors == 0
        caller, _ = await call.close()
        assert (caller.failure, caller.packets_lost) == ("", 0)
        assert caller.garbage_datagrams >= 20


async def test_strangers_are_not_even_heard_once_the_far_end_is_known() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        port = int(call.caller.transport.ice.local_candidate_sdp().split()[5])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.connect(("127.0.0.1", port))
            refused = 0
            for datagram in garbage():
                try:
                    stranger.send(datagram)
                except ConnectionRefusedError:
                    refused += 1
        assert refused >= 10
        await expect_more_audio(call)
        caller, _ = await call.close()
        assert (caller.failure, caller.packets_lost, caller.garbage_datagrams) == ("", 0, 0)


async def test_garbage_before_the_handshake_does_not_spoil_it() -> None:
    async with factory() as made:
        caller_ear, callee_ear = Ear(), Ear()
        caller = await open_leg(made, spec(1), caller_ear)
        callee = await open_leg(made, spec(2), callee_ear)
        offer = await caller.create_offer()
        rng = random.Random(6)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            for leg in (caller, callee):
                port = int(leg.transport.ice.local_candidate_sdp().split()[5])
                for first in (0, 22, 22, 22, 128, 200):
                    stranger.sendto(bytes([first, 254, 253]) + rng.randbytes(90), ("127.0.0.1", port))
        await caller.accept_answer(await callee.accept_offer(offer))
        await caller_ear.wait(MediaEvent.FIRST_AUDIO)
        await callee_ear.wait(MediaEvent.FIRST_AUDIO)
        assert made.health().callback_errors == 0
        for leg in (caller, callee):
            assert (await leg.close()).garbage_datagrams >= 4


async def test_a_replayed_packet_is_a_duplicate_and_not_heard_again() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        transport = call.caller.transport
        sent: list[bytes] = []
        original = transport._socket.send
        peer_port = int(call.callee.transport.ice.local_candidate_sdp().split()[5])
        sniffed = transport._socket
        hand_over = sniffed._send

        def sniff(data: bytes | memoryview) -> int:
            if data[0] >= 128 and not 192 <= data[1] <= 223 and not sent:
                sent.append(bytes(data))
            return hand_over(data)

        sniffed._send = sniff
        await until(lambda: sent)
        original(sent[0], ("127.0.0.1", peer_port))
        await until(lambda: call.callee.transport.replayed == 1)
        _, callee = await call.close()
        assert callee.packets_duplicate == 1
        assert callee.packets_lost == 0


async def test_the_far_end_s_goodbye_stops_the_sending_without_a_failure() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        await call.callee.close()
        await until(lambda: call.caller.transport.peer_left)
        sent = call.caller.live().packets_sent
        await asyncio.sleep(1.0)
        assert call.caller.live().packets_sent == sent
        assert MediaEvent.FAILED not in call.caller_ear.events
        await call.caller.close()


async def test_close_twice_tells_the_same_and_close_early_is_fine() -> None:
    async with factory() as made:
        call = await place(made)
        first = await call.caller.close()
        assert await call.caller.close() is first
        await call.callee.close()
        untouched = await open_leg(made, spec(3), Ear())
        await untouched.close()
        offered = await open_leg(made, spec(4), Ear())
        await offered.create_offer()
        await offered.close()
        assert made.health().active_legs == 0


async def test_descriptions_out_of_turn_and_addresses_not_ours_are_refused() -> None:
    async with factory() as made:
        leg = await open_leg(made, spec(1), Ear())
        offer = await leg.create_offer()
        with pytest.raises(MediaError):
            await leg.create_offer()
        with pytest.raises(MediaError):
            await leg.accept_offer(offer)
        with pytest.raises(BadDescription):
            await leg.accept_answer("hello")
        with pytest.raises(MediaError):
            await leg.reaccept_offer(offer)
        with pytest.raises(MediaError, match=r"203\.0\.113\.9"):
            await made.open_leg(spec(1, bind_address="203.0.113.9"), Ear())
        await leg.add_candidate({"candidate": "candidate:nonsense"})
        await leg.add_candidate({"candidate": "candidate:1 1 udp 1 name.local 9 typ host"})
        await leg.add_candidate(None)


async def test_only_the_given_address_is_offered_and_no_server_is_asked() -> None:
    async with factory() as made:
        leg = await open_leg(made, spec(1, bind_address="127.0.0.1"), Ear())
        offer = await leg.create_offer()
        candidates = [line for line in offer.splitlines() if line.startswith("a=candidate:")]
        assert len(candidates) == 1
        assert " 127.0.0.1 " in candidates[0]
        assert leg.transport.ice.stun_server is None
        assert leg.transport.ice.turn_server is None


async def test_a_renegotiation_changes_wishes_and_media_in_a_running_call() -> None:
    async with factory() as made:
        call = await place(made, spec(1, media="video"), spec(2, media="video"))
        await until(lambda: call.callee.live().video_frames_received >= 3)
        caller = call.caller
        caller.spec = spec(1, audio_kbit=12, ptime_ms=60)
        plans = [plan for plan in (caller._audio, caller._video) if plan is not None]
        offer = caller._write([caller._local(plan) for plan in plans], "actpass")
        low = offer.replace("m=video 9", "m=video 0")
        answer = await call.callee.reaccept_offer(low)
        assert "m=video 0" in answer
        assert call.callee.live().sending_ptime_ms == 60
        assert call.callee.live().media == "audio"
        await call.callee.reaccept_offer(offer)
        await until(lambda: call.callee.live().media == "video")
        stats, _ = await call.close()
        assert stats.packets_lost == 0
