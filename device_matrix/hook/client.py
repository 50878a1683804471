"""Calls the hook in the page, through either driver."""

from __future__ import annotations

from typing import Any

from device_matrix.artifacts import SCREENSHOT, Artifacts
from device_matrix.drivers.protocol import Browser

_TAKE = "() => window.ringfenceHook ? window.ringfenceHook.take() : []"
_SAMPLE_NOW = "async () => { if (window.ringfenceHook) await window.ringfenceHook.sampleNow(); }"
_HEARD = "() => Boolean(window.ringfenceHook && window.ringfenceHook.heard())"


class HookClient:
    """The hook in one page. Methods raise DeviceUnavailable when the browser is gone."""

    def __init__(self, browser: Browser, artifacts: Artifacts) -> None:
        self._browser = browser
        self._artifacts = artifacts
        self.has_screenshot = False

    def heard(self) -> bool:
        """Returns True once the page has played audio of the far end."""
        return bool(self._browser.evaluate(_HEARD))

    def take_snapshot(self) -> None:
        """Takes a screenshot and one more sample of the statistics."""
        self.take_screenshot()
        self._browser.evaluate(_SAMPLE_NOW)

    def take_screenshot(self) -> None:
        """Saves a screenshot; it replaces an earlier one."""
        self._artifacts.bytes(SCREENSHOT, self._browser.screenshot())
        self.has_screenshot = True

    def collect(self) -> Any:
        """Returns all data of the hook."""
        return self._browser.evaluate(_TAKE)
