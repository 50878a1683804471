"""What a calling service must let us do: the seam between the engine and any target.

To add your own service, write one file with a class that has ``Target``'s two methods and returns a session with
``TargetSession``'s, and name it in the plan as ``kind = "your_module:YourTarget"``. The class is made with the
service's URL and a ``Clock``. ``calls/targets/reference.py`` is an example of some 250 lines. What matters:

- Say what every message means with a ``Signal``; ``calls.call.call_rules`` knows which may follow which.
- Methods that return None never wait and never raise for what the network does: they queue. A connection that is gone
  for good is told once with ``listener.on_lost``. Only ``sign_in``, ``send_text`` and ``close`` wait, each bounded.
- Pass every byte of signaling through ``link`` when there is one, both ways, so that a slow network slows it.
- Contact nothing but the service's own URL; over TLS with ``calls.targets.trust.client_context()``.
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
    """What the service tells its clients to do."""

    degradation: bool
    """Clients on a poor network ask for and send a low bitrate in long frames."""
    no_answer_s: float | None
    """How long it lets a call ring."""


class Listener(Protocol):
    """The person behind a session."""

    def on_signal(self, signal: Signal) -> None:
        """A message about a call, in the order of the service."""

    def on_resuming(self, call_id: str) -> None:
        """The connection broke and is up again; the call was resumed and the service owes ``SignalType.RESUMED``."""

    def on_garbage(self, what: str) -> None:
        """The service sent something that is no message; ``what`` describes it for a log."""

    def on_lost(self) -> None:
        """The connection is gone and could not be taken up again."""


class TargetSession(Protocol):
    """One signed-in person's connection to the service."""

    @property
    def policy(self) -> Policy:
        """What the service said at sign-in."""

    @property
    def rtt_ms(self) -> float | None:
        """The last measured round trip of signaling."""

    @property
    def is_up(self) -> bool:
        """The connection stands now."""

    def invite(self, call_id: str, to: str, media: str, sdp: str) -> None:
        """Calls ``to``."""

    def shadow(self, call_id: str, to: str, media: str, sdp: str) -> None:
        """Has a call to ``to`` checked and routed without ringing anybody; ends with ``shadowed``."""

    def ring(self, call_id: str) -> None:
        """Tells the caller that it rings."""

    def answer(self, call_id: str, media: str, sdp: str) -> None:
        """Picks up."""

    def decline(self, call_id: str) -> None:
        """Does not pick up."""

    def cancel(self, call_id: str) -> None:
        """Gives up before the answer."""

    def hang_up(self, call_id: str) -> None:
        """Ends an answered call."""

    def reoffer(self, call_id: str, media: str, sdp: str, reason: str) -> None:
        """Makes a new offer inside the call."""

    def reanswer(self, call_id: str, media: str, sdp: str) -> None:
        """Answers an offer made inside the call."""

    def want_media(self, call_id: str, media: str, reason: str) -> None:
        """Tells the far end what this side sends and wants from now on."""

    def break_off(self, *, offline_s: float = 0.0) -> None:
        """The connection dies without a word, as with a network that is gone.

        It is taken up at once and the calls resumed; or, with ``offline_s``, only after that time, the calls forgotten.
        """

    async def send_text(self, to: str, text: str, timeout_s: float) -> None:
        """Returns once the service has acknowledged. Raises NotDelivered."""

    async def close(self) -> None:
        """Signs out within a bounded time. Safe to call twice; ``on_lost`` does not follow."""


@runtime_checkable
class SupportsLists(Protocol):
    """What a session may offer besides: the lists of threads and calls. A service without them is not asked."""

    async def look(self, look: PageRequest, timeout_s: float) -> Page:
        """Returns the page. Raises ListNotReceived, with the code ``offline`` for a person without a connection."""


class Target(Protocol):
    """A calling service."""

    async def sign_in(
        self, name: str, password: str, listener: Listener, link: AccessLink | None, timeout_s: float
    ) -> TargetSession:
        """Returns the person's session. Raises TargetUnreachable or SignInRefused."""

    async def close(self) -> None:
        """Gives up what all sessions share. Safe to call twice."""
