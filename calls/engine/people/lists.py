"""Opens a list in a person's app: threads, one thread, calls."""

from __future__ import annotations

import asyncio

from bedrock.clock import Clock
from calls.bridge.messages import ListOpened, OpenList
from calls.call.blame import blame_of_list
from calls.engine.people.people import SignedInPerson
from calls.errors import EngineRefused, ListNotReceived
from calls.targets.lists import PageRequest
from calls.targets.protocol import SupportsLists

OFFLINE = "offline"


async def open_list(person: SignedInPerson, command: OpenList, intended_at_s: float, clock: Clock) -> ListOpened:
    """Requests the page at ``intended_at_s`` (Unix seconds); returns it, or the reason why it did not arrive.

    Raises EngineRefused where the service has no lists (``no_lists``), and for a person who is ``offline`` or goes
    offline by themselves: no request was made, so nothing failed.
    """
    session = person.session
    if not isinstance(session, SupportsLists):
        raise EngineRefused("this service has no lists", code="no_lists")
    ahead_s = intended_at_s - clock.unix_s()
    if ahead_s > 0:
        await asyncio.sleep(ahead_s)
    dropped = sum(person.link_drops().values())
    look = PageRequest(command.look_at, command.person, command.before)
    try:
        page = await session.fetch_page(look, command.timeout_s)
    except ListNotReceived as error:
        if error.code == OFFLINE:
            raise EngineRefused(f"{command.name} is offline", code=OFFLINE) from None
        took_ms = (clock.unix_s() - intended_at_s) * 1000.0
        blame = blame_of_list(error.code, sum(person.link_drops().values()) - dropped)
        return ListOpened(took_ms=took_ms, reason=error.code, blame=blame)
    took_ms = (clock.unix_s() - intended_at_s) * 1000.0
    return ListOpened(took_ms=took_ms, people=page.people, older=page.older, size_bytes=page.size_bytes)
