"""What changes inside a running call by offers of our own: hold, video, another network; and mute, and death."""

from __future__ import annotations

import asyncio

import pytest
from media_calls import Call, Ear, factory, link_of, place, spec, until

from calls.media.errors import BadDescription, MediaError
from calls.media.ice.transport import ConnectLimits
from calls.media.interface import MediaEvent
from calls.media.leg import Leg

pytestmark = pytest.mark.held_time


async def reoffer(
    of: Leg, to: Leg, *, send_audio: bool = True, receive_audio: bool = True, video: bool = False
) -> None:
    offer = await of.create_reoffer(send_audio=send_audio, receive_audio=receive_audio, video=video)
    await of.accept_reanswer(await to.reaccept_offer(offer))


async def heard_more(leg: Leg, packets: int = 10) -> None:
    before = leg.live().packets_received
    await until(lambda: leg.live().packets_received >= before + packets)


async def bytes_a_packet(leg: Leg) -> float:
    before = leg.live()
    await heard_more(leg, 40)
    now = leg.live()
    return (now.bytes_received - before.bytes_received) / (now.packets_received - before.packets_received)


async def test_hold_stops_one_direction_or_both_and_is_no_gap() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        caller, callee = call.caller, call.callee
        await reoffer(caller, callee, receive_audio=False)
        assert (caller.on_hold, callee.on_hold) == (True, True)
        assert caller.live().last_packet_age_ms is None
        silent_from = caller.live().packets_received
        await heard_more(callee, 25)
        assert caller.live().packets_received <= silent_from + 2
        await reoffer(caller, callee, send_audio=False, receive_audio=False)
        assert callee.live().last_packet_age_ms is None
        await asyncio.sleep(0.5)  # a silence of half a second is what the test is about
        await reoffer(caller, callee)
        assert (caller.on_hold, callee.on_hold) == (False, False)
        await heard_more(caller)
        await heard_more(callee)
        for stats in await call.close():
            assert stats.packets_lost == 0
            assert stats.packets_late == 0
            assert stats.max_gap_ms is not None
            assert stats.max_gap_ms < 41, "a packet that was not sent may count, the hold may not"
            assert stats.jitter_ms is not None
            assert stats.jitter_ms < 1  # the media clock went on during the hold


async def test_silence_after_the_hold_counts_again() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        await reoffer(call.caller, call.callee, send_audio=False, receive_audio=False)
        await reoffer(call.caller, call.callee)
        await heard_more(call.caller)
        call.callee.die()
        before = call.caller.live().packets_received
        await until(lambda: (call.caller.live().last_packet_age_ms or 0) > 300)
        assert call.caller.live().packets_received <= before + 3
        caller, _ = await call.close()
        assert caller.max_gap_ms is not None
        assert caller.max_gap_ms > 300


async def test_video_joins_an_audio_call_leaves_it_and_comes_back() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        for _ in range(2):
            await reoffer(call.caller, call.callee, video=True)
            frames = [leg.live().video_frames_received for leg in (call.caller, call.callee)]
            await until(lambda: call.caller.live().video_frames_received > frames[0] + 5)  # noqa: B023
            await until(lambda: call.callee.live().video_frames_received > frames[1] + 5)  # noqa: B023
            assert call.caller.live().media == "video"
            await reoffer(call.callee, call.caller, video=False)
            assert (call.caller.live().media, call.callee.live().media) == ("audio", "audio")
        await heard_more(call.caller)
        for stats in await call.close():
            assert stats.packets_lost == 0


@pytest.mark.parametrize("linked", [False, True])
async def test_a_leg_that_moves_is_heard_from_its_new_address(linked: bool) -> None:
    async with factory() as made:
        link = link_of(made, owd_ms=20.0) if linked else None
        call = await place(made, spec(1, access_link=link))
        await call.both_hear()
        fragments = set()
        for mover, other, ear, address in (
            (call.caller, call.callee, call.caller_ear, "127.0.0.2"),
            (call.callee, call.caller, call.callee_ear, "127.0.0.3"),
        ):
            fragments |= {mover.transport.ice.local_username, other.transport.ice.local_username}
            ear.events.pop(MediaEvent.RESTARTED, None)
            offer = await mover.move(address)
            assert address in offer
            sent = mover.live().packets_sent
            await mover.accept_reanswer(await other.reaccept_offer(offer))
            await ear.wait(MediaEvent.RESTARTED)
            assert mover.live().packets_sent >= sent
            await heard_more(other)
            await heard_more(mover)
            remote = other.transport.ice.remote_address()
            assert remote is not None
            assert remote[0] == address
        # Every restart has new credentials on both sides (RFC 8445, 9).
        assert len(fragments | {leg.transport.ice.local_username for leg in (call.caller, call.callee)}) == 6
        for stats in await call.close():
            assert stats.send_errors == 0
            assert stats.max_gap_ms is not None
            assert stats.max_gap_ms < 400
            assert not stats.failure


async def test_what_a_planned_move_silences_is_the_moves_and_no_gap() -> None:
    async with factory() as made:
        call = await place(made, spec(1, moves_are_planned=True), spec(2))
        await call.both_hear()
        offer = await call.caller.move("127.0.0.2")
        assert call.caller.is_moving
        await asyncio.sleep(0.4)  # a slow way to the far side is what the test is about
        await call.caller.accept_reanswer(await call.callee.reaccept_offer(offer))
        await asyncio.gather(*(ear.wait(MediaEvent.HEARD_AGAIN) for ear in (call.caller_ear, call.callee_ear)))
        assert not call.caller.is_moving
        assert not call.callee.is_moving
        await heard_more(call.caller)
        caller, callee = await call.close()
        for stats in (caller, callee):
            assert stats.move_gap_ms is not None
            assert stats.move_gap_ms == pytest.approx(430, abs=30)
        assert caller.max_gap_ms is not None
        assert callee.max_gap_ms is not None
        assert caller.max_gap_ms < 41
        assert callee.max_gap_ms > 390, "to the callee nobody said that it was planned"


async def test_a_far_end_that_moves_before_our_own_move_is_over_starts_it_anew() -> None:
    """The answer to ours finds the far end gone from its address: our checks lead nowhere, and must end quietly."""
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        caller, callee = call.caller, call.callee
        answer = await callee.reaccept_offer(await caller.move("127.0.0.2"))
        offer = await callee.move("127.0.0.3")
        await caller.accept_reanswer(answer)
        await until(lambda: any(pair.task for pair in caller.transport.ice._check_list))  # its checks are under way
        await callee.accept_reanswer(await caller.reaccept_offer(offer))
        await asyncio.gather(*(ear.wait(MediaEvent.HEARD_AGAIN) for ear in (call.caller_ear, call.callee_ear)))
        await heard_more(caller)
        await heard_more(callee)
        assert MediaEvent.FAILED not in {*call.caller_ear.events, *call.callee_ear.events}
        await call.close()


async def test_a_move_whose_offer_was_taken_back_can_be_made_anew() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        caller, callee = call.caller, call.callee
        await callee.move("127.0.0.2")
        offer = await caller.create_reoffer(send_audio=True, receive_audio=True, video=False)
        callee.rollback_offer()
        await caller.accept_reanswer(await callee.reaccept_offer(offer))
        assert not callee.is_moving
        await callee.accept_reanswer(await caller.reaccept_offer(await callee.move("127.0.0.3")))
        await asyncio.gather(*(ear.wait(MediaEvent.HEARD_AGAIN) for ear in (call.caller_ear, call.callee_ear)))
        await heard_more(caller)
        await heard_more(callee)
        await call.close()


async def test_a_leg_whose_new_network_leads_nowhere_fails_in_bounded_time() -> None:
    async with factory(ConnectLimits(ice_s=0.5, dtls_s=5.0)) as made:
        call = await place(made)
        await call.both_hear()
        answer = await call.callee.reaccept_offer(await call.caller.move("127.0.0.2"))
        dead_end = "\r\n".join(line for line in answer.split("\r\n") if not line.startswith("a=candidate"))
        call.callee.die()
        await call.caller.accept_reanswer(dead_end)
        await call.caller_ear.wait(MediaEvent.FAILED)
        assert call.caller.failure == "ice_restart_failed"
        await call.close()


async def test_a_muted_leg_is_silent_and_not_lost() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        spoken = await bytes_a_packet(call.callee)
        call.caller.set_muted(True)
        await heard_more(call.callee, 3)
        assert await bytes_a_packet(call.callee) < 0.6 * spoken
        call.caller.set_muted(False)
        await heard_more(call.callee, 3)
        assert await bytes_a_packet(call.callee) > 0.6 * spoken
        _, callee = await call.close()
        assert callee.packets_lost == 0


async def test_offers_out_of_turn_and_answers_that_fit_nothing() -> None:
    async with factory() as made:
        call = await place(made)
        await call.both_hear()
        with pytest.raises(MediaError, match="no offer"):
            await call.caller.accept_reanswer("v=0")
        await call.caller.create_reoffer(send_audio=True, receive_audio=True, video=True)
        with pytest.raises(BadDescription):
            await call.caller.accept_reanswer("v=0\r\nm=nonsense")
        call.caller.rollback_offer()
        await reoffer(call.callee, call.caller, receive_audio=False)
        assert call.caller.on_hold
        alone = await made.open_leg(spec(9), Ear())
        with pytest.raises(MediaError, match="in no call"):
            await alone.create_reoffer(send_audio=True, receive_audio=True, video=False)
        with pytest.raises(MediaError, match="in no call"):
            await alone.move("127.0.0.2")
        await alone.close()
        await call.close()
        assert isinstance(call, Call)
