"""A real browser calls our leg: what each side says it heard, long frames, video in the middle, a new ICE path."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from media_calls import Ear, factory, open_leg, spec, until
from playwright.async_api import Page, async_playwright
from waiting import HANG_LIMIT_S

from calls.media.interface import LegSpec, MediaEvent
from calls.media.leg import Leg

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
SWITCHES = [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
PAGE = """<script>
const pc = new RTCPeerConnection({iceServers: []});
pc.ontrack = ({track}) => {
  const element = document.createElement(track.kind);
  element.autoplay = true;
  element.srcObject = new MediaStream([track]);
  document.body.append(element);
};
async function add(wanted) {
  const stream = await navigator.mediaDevices.getUserMedia(wanted);
  for (const track of stream.getTracks()) pc.addTrack(track, stream);
}
async function offer(options) {
  await pc.setLocalDescription(await pc.createOffer(options));
  while (pc.iceGatheringState !== 'complete')
    await new Promise(resolve => pc.addEventListener('icegatheringstatechange', resolve, {once: true}));
  return pc.localDescription.sdp;
}
async function stats() {
  const found = {};
  for (const one of (await pc.getStats()).values()) found[`${one.type} ${one.kind || ''}`.trim()] = one;
  return found;
}
</script><body></body>"""


@asynccontextmanager
async def browser_page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES, timeout=HANG_LIMIT_S * 1000)
        try:
            page = await browser.new_page()
            page.set_default_timeout(HANG_LIMIT_S * 1000)
            await page.route("**/*", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
            await page.goto("http://localhost:9/")
            yield page
        finally:
            await browser.close()


async def negotiate(page: Page, leg: Leg, *, first: bool, options: dict[str, Any] | None = None) -> str:
    offer = await page.evaluate("options => offer(options)", options or {})
    answer = await (leg.accept_offer(offer) if first else leg.reaccept_offer(offer))
    await page.evaluate("sdp => pc.setRemoteDescription({type: 'answer', sdp})", answer)
    return str(answer)


async def until_seen(page: Page, condition: str) -> None:
    """Waits until the JavaScript ``condition`` holds of the browser's statistics ``seen``."""
    async with asyncio.timeout(HANG_LIMIT_S):
        while not await page.evaluate(f"stats().then(seen => Boolean({condition}))"):  # noqa: ASYNC110 -- getStats tells no event
            await asyncio.sleep(0.1)


async def connect(page: Page, leg: Leg, ear: Ear) -> None:
    await page.evaluate("add({audio: true})")
    await negotiate(page, leg, first=True)
    await ear.wait(MediaEvent.FIRST_AUDIO)


@pytest.mark.parametrize(("kbit", "ptime_ms"), [(24, 20), (12, 60)])
async def test_audio_flows_both_ways_at_the_asked_rate(kbit: int, ptime_ms: int) -> None:
    order: LegSpec = spec(audio_kbit=kbit, ptime_ms=ptime_ms)
    async with factory() as made, browser_page() as page:
        ear = Ear()
        leg = await open_leg(made, order, ear)
        began_s = time.monotonic()
        await connect(page, leg, ear)
        await until(lambda: leg.live().packets_received >= 3000 / ptime_ms and leg.live().rtt_ms is not None)
        await until_seen(page, "'roundTripTime' in (seen['remote-inbound-rtp audio'] || {})")
        await until_seen(page, f"seen['inbound-rtp audio']?.packetsReceived > {2000 / ptime_ms}")
        seen = await page.evaluate("stats()")
        heard = seen["inbound-rtp audio"]
        assert heard["packetsLost"] == 0
        assert heard["totalAudioEnergy"] > 0
        assert seen["outbound-rtp audio"]["targetBitrate"] == kbit * 1000
        # Nothing has been under way for longer than the call: a wrong unit or epoch would say so.
        call_lasts_ms = (time.monotonic() - began_s) * 1000
        assert 0 <= seen["remote-inbound-rtp audio"]["roundTripTime"] * 1000 < call_lasts_ms
        stats = await leg.close()
        assert stats.packets_lost == 0
        assert stats.ptime_ms == ptime_ms
        assert stats.audio_kbit is not None
        assert stats.audio_kbit < kbit * 1.2
        assert stats.owd_clock == "same_clock"
        assert stats.owd_p50_ms is not None
        assert stats.owd_p95_ms is not None
        assert 0 < stats.owd_p50_ms <= stats.owd_p95_ms < call_lasts_ms
        assert stats.rtt_ms is not None
        assert 0 <= stats.rtt_ms < call_lasts_ms
        assert stats.garbage_datagrams == 0


async def test_video_joins_and_leaves_a_running_call_and_ice_restarts() -> None:
    async with factory() as made, browser_page() as page:
        ear = Ear()
        leg = await open_leg(made, spec(), ear)
        await connect(page, leg, ear)
        await page.evaluate("add({video: true})")
        answer = await negotiate(page, leg, first=False)
        assert "m=video 9" in answer
        await until(lambda: leg.live().video_frames_received >= 10)
        await until_seen(page, "seen['inbound-rtp video']?.framesDecoded >= 10")
        await page.evaluate(
            "pc.getSenders().filter(one => one.track?.kind === 'video').map(one => pc.removeTrack(one))"
        )
        await negotiate(page, leg, first=False)
        former = leg.transport.ice.local_username
        await negotiate(page, leg, first=False, options={"iceRestart": True})
        assert leg.transport.ice.local_username != former
        await until(lambda: leg.transport.ice.remote_address() is not None and leg.transport._former_ice is None)
        heard = leg.live().packets_received
        await until(lambda: leg.live().packets_received >= heard + 50)
        seen = await page.evaluate("stats()")
        assert seen["inbound-rtp audio"]["packetsLost"] == 0
        frames = seen["inbound-rtp video"]["framesDecoded"]
        assert seen["inbound-rtp video"]["frameWidth"] == 160
        await until_seen(page, f"seen['inbound-rtp video'].framesDecoded > {frames}")
        assert leg.failure == ""
        stats = await leg.close()
        assert stats.packets_lost == 0
