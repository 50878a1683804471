"""Operates the reference service's web client as a user does. Another app needs only another page object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_matrix.drivers.protocol import Browser, PageTimeout

CALL_SCREEN_WATCH = Path(__file__).with_name("call_screen.js")

WAIT_ONLINE = """async (timeoutMs) => {
  const end = performance.now() + timeoutMs;
  while (document.body.dataset.signaling !== 'online') {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  return true;
}"""
WAIT_CALL = "(wanted, timeoutMs) => window.ringfenceCallScreen.waitFor(wanted, timeoutMs)"
TIMELINE = "() => window.ringfenceCallScreen ? window.ringfenceCallScreen.timeline() : []"


@dataclass(frozen=True, slots=True)
class CallScreen:
    """One state of the call screen, and when it appeared."""

    at_s: float
    state: str
    """``calling``, ``ringing``, ``incoming``, ``connecting``, ``in-call`` or ``ended``."""
    call_id: str
    media: str
    quality: str
    fallback: str
    end_reason: str

    @classmethod
    def read(cls, entry: dict[str, Any]) -> CallScreen:
        return cls(
            at_s=entry["atMs"] / 1000,
            state=entry["state"],
            call_id=entry["callId"],
            media=entry["media"],
            quality=entry["quality"],
            fallback=entry["fallback"],
            end_reason=entry["endReason"],
        )


class AppPage:
    """The app on one device. Methods raise PageTimeout when the page does not react in time."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def open(self, url: str, timeout_s: float) -> None:
        """Loads the app and starts to record its call screen."""
        self._browser.open(url, timeout_s)
        self._browser.evaluate(CALL_SCREEN_WATCH.read_text())

    def sign_in(self, name: str, password: str, timeout_s: float) -> None:
        """Signs in and waits until the app is online."""
        self._browser.fill("#name", name, timeout_s)
        self._browser.fill("#password", password, timeout_s)
        self._browser.click("[data-testid=sign-in]", timeout_s)
        if not self._browser.evaluate(WAIT_ONLINE, timeout_s * 1000):
            raise PageTimeout(f"the app was not online {timeout_s:.0f} s after sign-in")

    def open_contact(self, name: str, timeout_s: float) -> None:
        """Opens the thread with ``name``."""
        self._browser.click(f"[data-testid=contact][data-name={name!r}]", timeout_s)

    def place_call(self, media: str, timeout_s: float) -> None:
        """Presses the open thread's button for an ``audio`` or ``video`` call."""
        self._browser.click(f"[data-testid=call-{media}]", timeout_s)

    def wait_call(self, *wanted: dict[str, list[str]], timeout_s: float) -> CallScreen | None:
        """Waits until the call screen matches one of ``wanted`` (allowed values by field); None after ``timeout_s``."""
        entry = self._browser.evaluate(WAIT_CALL, list(wanted), timeout_s * 1000)
        return CallScreen.read(entry) if entry else None

    def hang_up(self, timeout_s: float) -> None:
        """Presses the hang-up button."""
        self._browser.click("[data-testid=hang-up]", timeout_s)

    def call_timeline(self) -> list[CallScreen]:
        """Returns all states of the call screen, oldest first."""
        return [CallScreen.read(entry) for entry in self._browser.evaluate(TIMELINE)]
