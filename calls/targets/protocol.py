"""Declares what a target adapter must do: the interface between the engine and any calling service.

To add your own service, write a class with ``Target``'s two methods that returns sessions with ``TargetSession``'s
methods. Name it in the plan as ``kind = "your_module:YourTarget"``. It is created with the service's URL and a
``Clock``. ``calls/targets/reference*.py`` is a complete example of about 800 lines. The rules:

- Translate every message of the service into a ``Signal``; ``calls.call.call_rules`` knows which may follow which.
- Methods that return None queue their message: they never block and never raise for errors of the network. A lost
  connection is reported once, with ``listener.on_lost``. Only ``sign_in``, ``send_text`` and ``close`` wait, each for
  a bounded time.
- Pass every byte of signaling through ``link``, if there is one, in both directions, so that a slow network slows it.
- Contact only the service's own URL; over TLS with ``calls.targets.trust.client_context()``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from calls.call.call_rules import SignalType
from calls.targets.lists import Page, PageRequest

if TYPE_CHECKING:
    from calls.media.access_link import AccessLink


@dataclass(frozen=True, slots=True)
class Signal:
    """One message of the service about one call."""

    what: SignalType
    call_id: str
    peer: str = ""
    """``incoming``: who calls."""
    media: str = ""
    """``audio``, ``video``, or ``low_audio`` where the message has one."""
    sdp: str = ""
    code: str = ""
    """``refused``: busy, blocked, offline …; ``ended``: hangup, declined …, ``error``: the service's own code."""
    candidate: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings that the service gives to its clients."""

    degradation: bool
    """Clients on a poor network request and send a low bitrate in long frames."""
    no_answer_s: float | None
    """How long the service lets a call ring."""


class Listener(Protocol):
    """The person who owns a session."""

    def on_signal(self, signal: Signal) -> None:
        """Takes a message about a call, in the service's order."""

    def on_resuming(self, call_id: str) -> None:
        """The connection broke and is up again; the call was resumed and the service owes ``SignalType.RESUMED``."""

    def on_garbage(self, what: str) -> None:
        """The service sent something that is not a valid message; ``what`` describes it for a log."""

    def on_lost(self) -> None:
        """The connection is gone and could not be restored."""


class TargetSession(Protocol):
    """One signed-in person's connection to the service."""

    @property
    def policy(self) -> Policy:
        """The settings from the sign-in."""

    @property
    def rtt_ms(self) -> float | None:
        """The last measured round trip of signaling."""

    @property
    def is_up(self) -> bool:
        """Whether the connection is up now."""

    def invite(self, call_id: str, to: str, media: str, sdp: str) -> None:
        """Calls ``to``."""

    def shadow(self, call_id: str, to: str, media: str, sdp: str) -> None:
        """Has a call to ``to`` checked and routed without ringing anybody; it ends with ``shadowed``."""

    def ring(self, call_id: str) -> None:
        """Tells the caller that the callee's device rings."""

    def answer(self, call_id: str, media: str, sdp: str) -> None:
        """Answers the call."""

    def decline(self, call_id: str) -> None:
        """Declines the call."""

    def cancel(self, call_id: str) -> None:
        """Cancels the call before the answer."""

    def hang_up(self, call_id: str) -> None:
        """Ends an answered call."""

    def reoffer(self, call_id: str, media: str, sdp: str, reason: str) -> None:
        """Sends a new offer inside the call."""

    def reanswer(self, call_id: str, media: str, sdp: str) -> None:
        """Answers an offer made inside the call."""

    def want_media(self, call_id: str, media: str, reason: str) -> None:
        """Tells the far end what this side sends and wants from now on."""

    def break_off(self, *, offline_s: float = 0.0) -> None:
        """Cuts the connection without a message, as when a network disappears.

        It reconnects at once and resumes the calls. With ``offline_s`` it reconnects only after that time, without its
        calls.
        """

    async def send_text(self, to: str, text: str, timeout_s: float) -> None:
        """Sends a text; returns when the service has acknowledged it. Raises NotDelivered."""

    async def close(self) -> None:
        """Signs out within a bounded time. Safe to call twice; ``on_lost`` does not follow."""


@runtime_checkable
class SupportsLists(Protocol):
    """Optional for a session: the lists of threads and calls. Other services are not asked for lists."""

    async def fetch_page(self, look: PageRequest, timeout_s: float) -> Page:
        """Returns the page. Raises ListNotReceived, with the code ``offline`` for a person without a connection."""


class Target(Protocol):
    """A calling service."""

    async def sign_in(
        self, name: str, password: str, listener: Listener, link: AccessLink | None, timeout_s: float
    ) -> TargetSession:
        """Returns the person's session. Raises TargetUnreachable or SignInRefused."""

    async def close(self) -> None:
        """Releases what all sessions share. Safe to call twice."""
