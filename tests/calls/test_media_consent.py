from __future__ import annotations

import asyncio

import pytest

from calls.media import ice_path
from calls.media.ice_path import IcePath


class Wire:
    """Two paths joined by datagrams that take ``delay_s`` each way."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.cut = False
        self.lost: asyncio.Queue[IcePath] = asyncio.Queue()
        self.paths: dict[tuple[str, int], IcePath] = {}

    def path(self, port: int) -> IcePath:
        own = ("127.0.0.1", port)

        def send(data: bytes, to: tuple[str, int]) -> None:
            loop = asyncio.get_running_loop()
            if not self.cut and to in self.paths:
                loop.call_later(self.delay_s, self.paths[to].received, data, own)

        self.paths[own] = IcePath(own, send, self.lost.put_nowait)
        return self.paths[own]


async def _join(wire: Wire) -> tuple[IcePath, IcePath]:
    one, other = wire.path(40001), wire.path(40002)
    one.ice_controlling = True
    for near, far in ((one, other), (other, one)):
        near.remote_username, near.remote_password = far.local_username, far.local_password
        await near.add_remote_sdp(far.local_candidate_sdp())
        await near.end_remote_candidates()
    await asyncio.gather(one.connect(), other.connect())
    return one, other


@pytest.fixture
def quick_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    # The figures of RFC 7675 in a tenth of the time: the round trip below is to them as 9 s are to the real ones.
    monkeypatch.setattr(ice_path, "CONSENT_INTERVAL", 0.5)
    monkeypatch.setattr(ice_path, "CONSENT_EXPIRES_S", 3.0)


async def test_consent_lasts_over_a_round_trip_longer_than_a_check_s_usual_patience(quick_consent: None) -> None:
    wire = Wire(delay_s=0.45)
    paths = await _join(wire)

    await asyncio.sleep(4.5)

    assert wire.lost.empty()
    for path in paths:
        await path.close()


async def test_consent_ends_when_nothing_answers_any_more(quick_consent: None) -> None:
    wire = Wire(delay_s=0.01)
    paths = await _join(wire)
    wire.cut = True

    async with asyncio.timeout(6):
        assert {await wire.lost.get(), await wire.lost.get()} == set(paths)

    for path in paths:
        await path.close()
