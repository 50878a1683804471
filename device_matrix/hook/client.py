"""Asks the hook in the page, through whichever driver runs the browser."""

from __future__ import annotations

from typing import Any

from device_matrix.artifacts import SCREENSHOT, Artifacts
from device_matrix.drivers.protocol import Browser

_TAKE = "() => window.ringfenceHook ? window.ringfenceHook.take() : []"
_SAMPLE_NOW = "async () => { if (window.ringfenceHook) await window.ringfenceHook.sampleNow(); }"
_HEARD = "() => Boolean(window.ringfenceHook && window.ringfenceHook.heard())"


class HookClient:
    """One page's hook. Methods raise DeviceUnavailable when the browser is gone."""

    def __init__(self, browser: Browser, artifacts: Artifacts) -> None:
        self._browser = browser
        self._artifacts = artifacts
        self.has_screenshot = False

    def heard(self) -> bool:
        """True once the page has played audio of the far end."""
        return bool(self._browser.evaluate(_HEARD))

    def take_snapshot(self) -> None:
        """Takes a picture of the call, and one more sample of the statistics before it ends."""
        self.take_screenshot()
        self._browser.evaluate(_SAMPLE_NOW)

    def take_screenshot(self) -> None:
        """Keeps what the screen shows; a later picture replaces an earlier one."""
        self._artifacts.bytes(SCREENSHOT, self._browser.screenshot())
        self.has_screenshot = True

    def collect(self) -> Any:
        """Returns everything the hook has collected, as plain data."""
        return self._browser.evaluate(_TAKE)
