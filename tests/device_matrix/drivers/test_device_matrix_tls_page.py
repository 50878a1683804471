"""A page of a target with a certificate of its own, in a real Chromium, started as the matrix starts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Error, Page, async_playwright
from tls_front import behind_tls, certificate

from calls.targets.own_service import start_own_service
from calls.targets.trust import CA_FILE_VARIABLE, trust
from device_matrix.drivers.chromium import browser_arguments, find_browser

pytestmark = pytest.mark.integration
SOCKET_OPENS = """
() => new Promise((resolve) => {
  const socket = new WebSocket(`wss://${location.host}/ws`);
  socket.onopen = () => { socket.close(); resolve("open"); };
  socket.onerror = () => resolve("refused");
})
"""


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_browser(), args=browser_arguments([]))
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def test_the_browser_trusts_the_named_certificate_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CA_FILE_VARIABLE, "")
    for name in ("its", "other"):
        (tmp_path / name).mkdir()
    its, context = certificate(tmp_path / "its")
    other, _ = certificate(tmp_path / "other")
    service = await asyncio.to_thread(start_own_service, tmp_path / "s.sqlite", tmp_path / "service.log")
    try:
        async with behind_tls(service.url, context) as url:
            async with page() as shown:
                with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
                    await shown.goto(url)
            trust(other)
            async with page() as shown:
                with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
                    await shown.goto(url)
            trust(its)
            async with page() as shown:
                answer = await shown.goto(url)
                assert answer is not None
                assert answer.ok
                assert await shown.evaluate("window.isSecureContext")
                assert await shown.evaluate("fetch('/health').then((answer) => answer.status)") == 200
                assert await shown.evaluate(SOCKET_OPENS) == "open"
    finally:
        await asyncio.to_thread(service.process.stop)
