"""People with the web client open in real, headless Chromium, and a slow road to the service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from service_process import RunningService
from waiting import HANG_LIMIT_S, eventually_awaited

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = HANG_LIMIT_S * 1000
ARGUMENTS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
REMEMBER_CONNECTIONS = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...parameters) { super(...parameters); window.connections.push(this); }
};
window.said = [];
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) { window.said.push(JSON.parse(data)); return send.call(this, data); };
window.shown = [];
new MutationObserver(() => {
  const state = document.querySelector("[data-testid=call-screen]")?.dataset.state;
  if (state && state !== window.shown.at(-1)) window.shown.push(state);
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"] });
"""
READ_COUNTERS = """async () => {
  const found = {};
  for (const [, s] of await window.connections.at(-1).getStats()) {
    if (s.type === "inbound-rtp") found[`${s.kind} in`] = s;
    if (s.type === "outbound-rtp") found[`${s.kind} out`] = s;
    if (s.type === "media-source") found[`${s.kind} source`] = s;
  }
  return found;
}"""


class Person:
    """One signed-in page. ``trouble`` gathers what the console complains of."""

    def __init__(self, name: str, context: BrowserContext, page: Page) -> None:
        self.name = name
        self.context = context
        self.page = page
        self.trouble: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.trouble.append(f"{name}: {error}"))
        page.on(
            "console", lambda said: said.type in ("error", "warning") and self.trouble.append(f"{name}: {said.text}")
        )

    async def sign_in(self, password: str | None = None) -> None:
        await self.page.fill("#name", self.name)
        await self.page.fill("#password", password or self.name)
        await self.tap("sign-in")

    async def tap(self, testid: str) -> None:
        await self.page.click(f"[data-testid={testid}]")

    async def close_ended_call(self) -> None:
        """Closes the screen of an ended call, unless it has closed by itself meanwhile."""
        await self.page.evaluate("() => document.querySelector('[data-testid=close-call]')?.click()")
        await self.page.wait_for_selector("[data-testid=call-screen]", state="hidden")

    async def open_thread(self, name: str) -> None:
        await self.page.click(f"[data-testid=contact][data-name={name}]")

    async def write(self, words: str) -> None:
        await self.page.fill("[data-testid=message-input]", words)
        await self.tap("message-send")

    async def sees(self, selector: str) -> None:
        await self.page.wait_for_selector(selector)

    async def sees_text(self, selector: str, words: str) -> None:
        await self.page.locator(selector, has_text=words).first.wait_for()

    async def sees_call(self, state: str, **also: str) -> None:
        more = "".join(f"[data-{key.replace('_', '-')}={value!r}]" for key, value in also.items())
        await self.sees(f"[data-testid=call-screen][data-state={state!r}]{more}")

    async def banner(self) -> str:
        return await self.page.locator("[data-testid=call-banner]").inner_text()

    async def counters(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.page.evaluate(READ_COUNTERS)
        return found

    async def counts(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Waits until the counters are as asked, and returns them.

        Asked again and again from here: Playwright's own wait takes the promise of an asynchronous question for a yes.
        """
        last: dict[str, Any] = {}

        async def hold() -> bool:
            last.clear()
            last.update(await self.counters())
            return holds(last)

        assert await eventually_awaited(hold), f"{self.name}: no {what}: {last}"
        return last

    async def screens(self) -> list[str]:
        """The states that the call screen has shown so far, each as often as it came."""
        shown: list[str] = await self.page.evaluate("window.shown")
        return shown

    async def said(self, kind: str) -> list[dict[str, Any]]:
        """Messages of ``kind`` that this page has sent."""
        everything: list[dict[str, Any]] = await self.page.evaluate("window.said")
        return [message for message in everything if message["type"] == kind]

    async def hears_audio(self) -> None:
        """Waits until sound, not only packets, has come from the far end."""
        await self.counts(lambda now: now.get("audio in", {}).get("totalAudioEnergy", 0) > 0.01, "sound")

    async def sees_frames(self) -> None:
        """Waits until pictures have come from the far end."""
        await self.counts(lambda now: now.get("video in", {}).get("framesDecoded", 0) > 3, "pictures")

    async def audio_per_s(self, over_s: float = 1.5) -> tuple[float, float]:
        """Returns (packets, payload kbit) that leave for each second of sound from the microphone.

        Counted by the sound, not by a clock: a browser that gets too little CPU takes in less of it.
        """
        before = await self.counters()
        until_s = before["audio source"]["totalSamplesDuration"] + over_s
        now = await self.counts(lambda now: now["audio source"]["totalSamplesDuration"] > until_s, "more from the mike")
        span_s = now["audio source"]["totalSamplesDuration"] - before["audio source"]["totalSamplesDuration"]
        packets, sent_bytes = (now["audio out"][key] - before["audio out"][key] for key in ("packetsSent", "bytesSent"))
        return packets / span_s, sent_bytes * 8 / 1000 / span_s


class People:
    """Opens pages in one browser."""

    def __init__(self, browser: Browser, service: RunningService) -> None:
        self._browser = browser
        self._service = service
        self.all: list[Person] = []

    async def visit(self, name: str, *, url: str | None = None, **context: Any) -> Person:
        """A person with the sign-in page open."""
        opened = await self._browser.new_context(**{"viewport": {"width": 360, "height": 640}, **context})
        await opened.add_init_script(REMEMBER_CONNECTIONS)
        person = Person(name, opened, await opened.new_page())
        self.all.append(person)
        await person.page.goto(url or self._service.url)
        return person

    async def join(self, name: str, *, url: str | None = None, **context: Any) -> Person:
        """A person who is signed in and online."""
        person = await self.visit(name, url=url, **context)
        await person.sign_in()
        await person.sees("body[data-signaling=online]")
        return person

    async def join_slowly(self, name: str, road: Road, delay_s: float = 0.3) -> Person:
        """A person whose signaling takes ``delay_s`` each way: far enough for the network to count as poor."""
        person = await self.visit(name, url=road.url)
        await person.page.wait_for_load_state("networkidle")
        road.delay_s = delay_s
        await person.sign_in()
        await person.sees("body[data-signaling=online]")
        await person.page.wait_for_function("window.ringfenceApp.state().rttMs > 500")
        return person

    async def in_call(self, caller: Person, callee: Person, media: str = "audio") -> None:
        """Places a call that is answered."""
        await caller.open_thread(callee.name)
        await caller.tap(f"call-{media}")
        await callee.sees_call("incoming", media=media)
        await callee.tap("answer")
        await asyncio.gather(caller.sees_call("in-call"), callee.sees_call("in-call"))


@contextlib.asynccontextmanager
async def people_of(service: RunningService) -> AsyncIterator[People]:
    """A browser for the people of ``service``; at the end no page may have complained."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE_MS)
        try:
            people = People(browser, service)
            yield people
            assert [line for person in people.all for line in person.trouble] == []
        finally:
            await browser.close()


class Road:
    """A TCP way to the service that takes ``delay_s`` in each direction, and that can be cut."""

    def __init__(self, service_url: str) -> None:
        self.delay_s = 0.0
        self.is_open = True
        self.url = ""
        self._port = int(service_url.rsplit(":", 1)[1])
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self, *, for_good: bool) -> None:
        """Breaks every connection; ``for_good`` lets no new one through either."""
        self.is_open = not for_good
        for writer in self._writers:
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end closes it."""
        if not self.is_open:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._one_way(reader, far_writer))
                ways.create_task(self._one_way(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}
            writer.transport.abort()
            far_writer.transport.abort()

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                loop.call_later(self.delay_s, writer.write, data)
        loop.call_later(self.delay_s, writer.transport.abort)


@contextlib.asynccontextmanager
async def road_to(service: RunningService) -> AsyncIterator[Road]:
    """Opens a road to ``service``."""
    road = Road(service.url)
    carrying: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        carrying.add(task)
        await road.carry(reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    road.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield road
    finally:
        server.close()
        road.cut(for_good=True)
        await asyncio.gather(*carrying, return_exceptions=True)
